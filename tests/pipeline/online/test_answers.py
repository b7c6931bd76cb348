"""Requests read from files of PredictionLogs, as both servers write them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from pipeline.online.answers import Answer, read_answers
from serving.client import Request
from serving.client.request import encode_example
from trainer.export.prediction_log import prediction_log, write_prediction_log

OUTPUTS = {
    "item_id": np.array([[b"b", b"c"], [b"d", b""]]),
    "score": np.array([[2.0, 1.0], [1.0, 0.0]], np.float32),
    "like": np.array([[0.5, 0.25], [0.75, 0.0]], np.float32),
    "count": np.array([2, 1], np.int32),
}
FEATURES = ("user_gender", "context_device", "outcome_rating", "user_age")


def log(
    signature: str, inputs: dict[str, Any], version: int = 7, seconds: int = 50
) -> prediction_log_pb2.PredictionLog:
    found = prediction_log(signature, inputs, OUTPUTS)
    found.log_metadata.timestamp_secs = seconds
    found.log_metadata.model_spec.version.value = version
    return found


def read(tmp_path: Path, *logs: prediction_log_pb2.PredictionLog) -> list[Answer | str]:
    write_prediction_log(f"{tmp_path}/log", logs)
    return list(read_answers(f"{tmp_path}/log", ["like", "bought"], FEATURES))


def examples(*requests: Request) -> dict[str, Any]:
    return {"examples": tf.constant([encode_example(request) for request in requests])}


def test_a_request_of_examples(tmp_path: Path) -> None:
    features: dict[str, Any] = {"user_gender": "F", "user_age": math.nan, "context_device": ["tv", "phone"]}
    own_time = Request("u", ["a"], [10, 20], features | {"outcome_rating": [4.0]})
    found = read(tmp_path, log("", examples(own_time, Request(history=["a"], times=[10]))))
    values = {"user_gender": ("F",), "context_device": ("phone",), "outcome_rating": (4.0,), "user_age": ()}
    assert found == [
        Answer(7, 20, "u", ("b", "c"), {"like": (0.5, 0.25)}, ("a",), values),
        Answer(7, 50, "", ("d",), {"like": (0.75,)}, ("a",), dict.fromkeys(FEATURES, ())),
    ]


def test_a_request_of_tensors(tmp_path: Path) -> None:
    inputs = {"user_id": [b"u", b""], "item_id": [[b"a", b"b"], [b"c", b""]], "request_time": np.array([0, 30])}
    first, second = read(tmp_path, log("recommend_tensors", inputs))
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert (first.user, first.time, first.history) == ("u", 50, ("a", "b"))
    assert (second.user, second.time, second.history) == ("", 30, ("c",))


def test_the_responses_version_counts_where_the_metadata_have_none(tmp_path: Path) -> None:
    without = log("recommend", examples(Request("u"), Request("v")), version=0)
    without.predict_log.response.model_spec.version.value = 9
    assert [found.version for found in read(tmp_path, without) if isinstance(found, Answer)] == [9, 9]


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    requests = examples(Request("u"), Request("v"))
    logs = [log("rank", requests), log("recommend", requests, seconds=0), log("recommend", requests, version=0)]
    assert read(tmp_path, *logs) == ["of other signatures", *["without a version or a time"] * 4]


def test_a_file_of_a_killed_server_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    requests = examples(Request("u"), Request("v"))
    read(tmp_path, log("recommend", requests), log("recommend", requests))
    whole = (tmp_path / "log").read_bytes()
    (tmp_path / "log").write_bytes(whole[:-20])
    found = list(read_answers(f"{tmp_path}/log", [], []))
    assert len(found) == 3
    assert found[-1] == "files cut short"
