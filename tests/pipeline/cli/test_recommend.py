import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config import Config, parse_config
from pipeline.cli import recommend
from pipeline.cli.common import CommandError
from serving.client import RecommenderClient, Request
from tests.serving.models import save_model, serve

OWN = "unix:/own"


@contextmanager
def _own_server(config: Config) -> Iterator[str]:
    yield OWN


def _config(name: str, folder: Path | str) -> Config:
    return parse_config(
        f"name: {name}\ndata: {{folder: tables, interactions: {{path: events.csv}}}}\nserving: {{folder: {folder}}}\n"
    )


def _asked(config: Config, address: str | None = None) -> str:
    with recommend._client(config, f"{config.name}.yaml", address) as client:
        return client.address


def test_a_running_server_is_asked_for_its_own_configuration_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recommend, "embedded_server", _own_server)
    served, other, empty = (tmp_path / name for name in ("served", "other", "empty"))
    for folder, version in ((served, 5), (other, 7)):
        folder.mkdir()
        save_model(folder / str(version))
    with serve(served) as server:
        monkeypatch.setattr(recommend, "LOCAL", server.address)
        assert _asked(_config("a", served)) == server.address
        assert capsys.readouterr().err == ""
        assert _asked(_config("b", other)) == OWN
        said = f"the server of 'recommender' on {server.address} answers from version 5, which is not in {other}"
        assert capsys.readouterr().err == f"{said}: starting a server for this call\n"
        with RecommenderClient(server.address) as client, recommend._plain_warnings():
            client.recommend(Request(history=["a"], times=[888_444_000, 7], features={"user_agee": 1.0}))
            warnings.warn("unclosed file", ResourceWarning, stacklevel=1)
        lines = capsys.readouterr().err.splitlines()
        assert lines[0].startswith("warning: the request's own time, the last of `times`, should not be before")
        assert lines[1].startswith("warning: the model knows no feature `user_agee`, so it has no effect.")
        assert not any("unclosed" in line for line in lines), "a warning of Python's is none for a person"
        assert _asked(_config("b", other), server.address) == server.address  # whoever names one means it
        with pytest.raises(CommandError, match="holds no model"):
            _asked(_config("c", empty))
        with pytest.raises(CommandError, match="Name the server: `--address`"):
            _asked(_config("d", "nonsense://bucket/models"))
    assert _asked(_config("b", other)) == OWN
    assert f"no server of 'recommender' on {server.address}: starting" in capsys.readouterr().err
