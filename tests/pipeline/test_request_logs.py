"""Requests of a user in the files of a server's log: which are found, and what is left of a file without them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from config import parse_config
from pipeline.cli.serve import models_config
from pipeline.request_logs import find_requests, remove_requests
from serving.client import Request
from serving.client.request import encode_example
from serving.server.calls import Metrics
from serving.server.flags import parse_flags
from serving.server.request_log import RequestLog
from tests.serving.models import eventually
from trainer.export.prediction_log import prediction_log, read_prediction_log

SERVABLE: Any = SimpleNamespace(name="recommender", version=7)


@pytest.fixture
def config(tmp_path: Path) -> Any:
    data, serving = (
        f"{{folder: {tmp_path}, interactions: {{path: a.csv}}}}",
        f"{{log_requests: {{folder: {tmp_path}}}}}",
    )
    return parse_config(f"{{name: shop, data: {data}, serving: {serving}}}", "shop.yaml")


def call(*users: str, **tensors: list[str]) -> prediction_log_pb2.PredictLog:
    """A call with a row for each user, or of tensors."""
    rows = [encode_example(Request(user_id=user, history=["u3"])) for user in users]
    return prediction_log("recommend", tensors or {"examples": rows}).predict_log


def log_of(config: Any) -> RequestLog:
    """The log of a server that two records of a file fill."""
    models = text_format.Parse(models_config(config), model_server_config_pb2.ModelServerConfig()).model_config_list
    models.config[0].logging_config.sampling_config.sampling_rate = 1
    log = RequestLog(parse_flags(["--request_log_max_bytes=200"]), Metrics())
    log.configure(models.config)
    return log


def write(log: RequestLog, *calls: prediction_log_pb2.PredictLog) -> None:
    for each in calls:
        log.add(SERVABLE, "recommend", lambda each=each: each)  # type: ignore[misc]


def users_in(file: Path) -> list[list[bytes]]:
    calls = [made.request.inputs["examples"].string_val for made in read_prediction_log(str(file))]
    parsed = [[tf.train.Example.FromString(row).features.feature["user_id"] for row in rows] for rows in calls]
    return [[user.bytes_list.value[0] for user in rows] for rows in parsed]


def test_records_of_the_user_go_and_all_others_stay(config: Any, tmp_path: Path) -> None:
    log = log_of(config)
    write(log, call("u1", "u3"), call("u2"), call("u4"), call(user_id=["", "hash"], item_id=["1", "2"]), call("u33"))
    log.stop()
    files = sorted(tmp_path.glob("*.tfrecord"))
    before = {file: (file.read_bytes(), file.stat().st_mode) for file in files}
    held = {file.path: len(file.records) for file in find_requests(config, ["u3", "hash"])}
    assert sum(held.values()) == 2  # neither the item u3 in every history, nor the user u33
    assert {file: file.read_bytes() for file in files} == {file: content for file, (content, _) in before.items()}
    remove_requests(config, find_requests(config, ["u3", "hash"]))
    assert find_requests(config, ["u3", "hash"]) == []
    left = sorted(tmp_path.iterdir())
    assert [users for file in left for users in users_in(file)] == [[b"u2"], [b"u4"], [b"u33"]]
    for file in left:
        assert file.stat().st_mode == before[file][1]
        assert file in held or file.read_bytes() == before[file][0]


def test_a_file_that_a_server_writes_to_is_left_until_it_is_closed(config: Any, tmp_path: Path) -> None:
    log = log_of(config)
    write(log, call("u3"))
    eventually(lambda: find_requests(config, ["u3"]))
    (file,) = find_requests(config, ["u3"])
    assert file.is_open
    remove_requests(config, [file])
    write(log, call("u2"))
    log.stop()
    assert users_in(file.path) == [[b"u3"], [b"u2"]]
    (file,) = find_requests(config, ["u3"])
    assert not file.is_open
    remove_requests(config, [file])
    assert users_in(file.path) == [[b"u2"]]


def test_what_a_killed_server_or_a_killed_removal_left(config: Any, tmp_path: Path) -> None:
    log = log_of(config)
    write(log, call("u2"), call("u3"))
    log.stop()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    part = tmp_path / f".{path.name}.part"
    part.write_bytes(b"u2")
    (file,) = find_requests(config, ["u3"])
    assert (file.records, file.rest is not None) == ((), True)
    remove_requests(config, [file])
    assert users_in(path) == [[b"u2"]]
    assert not part.exists()


def test_a_file_of_the_user_alone_is_removed_and_others_are_not_looked_into(config: Any, tmp_path: Path) -> None:
    log = log_of(config)
    write(log, call("u3"))
    log.stop()
    (path,) = tmp_path.iterdir()
    other = path.with_name(path.name.replace("recommender-", "recommender-of-another-shop-"))
    other.write_bytes(path.read_bytes())
    remove_requests(config, find_requests(config, ["u3"]))
    assert list(tmp_path.iterdir()) == [other]
