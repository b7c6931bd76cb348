import socket

import pytest

from config.training import TrainingConfig
from trainer.distributed.strategies import make_strategy


def unused_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"grpc://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(("address", "reason"), [("nowhere.invalid", "urlopen error"), (None, "Connection refused")])
def test_an_address_without_a_tpu_is_named_with_the_reason(address, reason, monkeypatch):
    address = address or unused_address()
    monkeypatch.setenv("TPU_NAME", address)
    with pytest.raises(RuntimeError, match=f"strategy: tpu` found no TPU at '{address}' .*{reason}"):
        make_strategy(TrainingConfig(strategy="tpu"))


def test_the_configured_address_comes_before_the_environments(monkeypatch):
    monkeypatch.setenv("TPU_NAME", "nowhere.invalid")
    address = unused_address()
    with pytest.raises(RuntimeError, match=f"found no TPU at '{address}'"):
        make_strategy(TrainingConfig(strategy="tpu", tpu=address))
