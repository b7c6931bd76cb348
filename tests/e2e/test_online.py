"""A server logs what it answers, and `online` joins it with later events: each number is computed by hand."""

import csv
import io
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import tensorflow as tf
from prometheus_client.parser import text_string_to_metric_families
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from config import load_config
from pipeline.cli import common, main
from pipeline.cli.serve import models_config
from pipeline.online.prometheus import METRICS, PREFIX
from serving.client import RecommenderClient, Request, hashed
from serving.client.request import encode_example
from tests.e2e.conftest import KEY, RAW_USER, Passes
from tests.serving.models import serve

T = 1_750_000_000
"""The time of the first request, as the requests say it."""
HOUR = 3600
K = 4
USERS = (f"{RAW_USER}1", f"{RAW_USER}2", f"{RAW_USER}3", "stranger")

Lists = Mapping[str, list[tuple[str, float]]]
"""By user the items and their predictions of `like`."""


@dataclass(frozen=True)
class Served:
    """What the older and the newer version answered, one request a user, and where it was logged."""

    config: Path
    logs: Path
    older: Lists
    newer: Lists


@pytest.fixture(scope="module")
def served(passes: Passes, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A real server of both versions with logging; the YAML's own model config file, with all versions."""
    folder = tmp_path_factory.mktemp("online")
    for version in passes.versions[2]:  # a serving folder of its own, as one is withdrawn
        (folder / "models" / str(version)).mkdir(parents=True)
    log = {"folder": str(folder / "logs"), "sampling_rate": 1}
    serving = {"log_requests": log, "folder": str(folder / "models")}
    gates = {"min_requests": 3, "min_ctr_ratio": 0.5, "max_skew": 0.99, "max_unknown_users": 0.2}
    config = passes.home.configure("online.yaml", serving=serving, online={"window_hours": 1, "gates": gates})
    both = " ".join(f"versions: {version}" for version in passes.versions[2][-2:])
    models = models_config(load_config(config)).replace(str(folder / "models"), str(passes.home.serving))
    (folder / "models.config").write_text(
        models.replace("model_platform", f"model_version_policy {{ specific {{ {both} }} }} model_platform")
    )
    flags = [f"--model_config_file={folder}/models.config", "--enable_model_warmup=false"]
    with serve(passes.home.serving, "--model_base_path=", *flags, "--request_log_max_bytes=4000") as server:
        older_version = passes.versions[2][-2]
        with RecommenderClient(server.address, timeout=60) as client:
            newer = {user: _asked(client, user, n) for n, user in enumerate(USERS)}
        older = {user: _asked_of(server.address, older_version, user, n) for n, user in enumerate(USERS)}
        server.process.terminate()
        assert server.process.wait(timeout=30) == 0
    return Served(config, folder / "logs", older, newer)


def _request(user: str, n: int, at: int) -> Request:
    features = {"user_gender": "F", "context_device": ["tv", "phone"]}
    return Request(
        user_id=hashed(user, KEY.encode()),
        history=["i1" if n else "nothing"],
        times=[at - 60, at],
        features=features,
        k=K,
    )


def _asked(client: RecommenderClient, user: str, n: int) -> list[tuple[str, float]]:
    return [(item.item_id, item.scores["like"]) for item in client.recommend(_request(user, n, T + 10 * HOUR))]


def _asked_of(address: str, version: int, user: str, n: int) -> list[tuple[str, float]]:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.version.value = "recommender", version
    request.inputs["examples"].CopyFrom(tf.make_tensor_proto([encode_example(_request(user, n, T))]))
    with grpc.insecure_channel(address) as channel:
        outputs = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60).outputs
    items, like = (tf.make_ndarray(outputs[name])[0].tolist() for name in ("item_id", "like"))
    return [(item.decode(), score) for item, score in zip(items, like, strict=True)]


def _records(folder: Path) -> Iterator[bytes]:
    yield from tf.data.TFRecordDataset(sorted(map(str, folder.glob("*.tfrecord")))).as_numpy_iterator()


def write_events(path: Path, served: Served) -> None:
    """What users did: three clicks on the older version's items, two on the newer one's, and what is neither."""
    older, newer = (
        {user: [item for item, _ in items] for user, items in of.items()} for of in (served.older, served.newer)
    )
    unseen = next(f"i{n}" for n in range(95) if f"i{n}" not in newer[f"{RAW_USER}2"])
    rows = [
        (f"{RAW_USER}1", older[f"{RAW_USER}1"][0], T, 5),  # in the same second
        (f"{RAW_USER}1", older[f"{RAW_USER}1"][2], T + 600, 2),
        (f"{RAW_USER}2", older[f"{RAW_USER}2"][1], T + HOUR, 4),  # the last second of the window
        (f"{RAW_USER}3", older[f"{RAW_USER}3"][0], T + HOUR + 1, 5),  # too late
        (f"{RAW_USER}1", newer[f"{RAW_USER}1"][0], T + 10 * HOUR + 5, 5),
        # Again: neither a second click nor another label.
        (f"{RAW_USER}1", newer[f"{RAW_USER}1"][0], T + 10 * HOUR + 9, 1),
        ("stranger", newer["stranger"][3], T + 10 * HOUR + 5, 1),
        (f"{RAW_USER}2", unseen, T + 10 * HOUR + 5, 5),  # of its own accord
        (f"{RAW_USER}4", newer[f"{RAW_USER}1"][0], T + 10 * HOUR + 5, 5),  # was shown nothing
        (f"{RAW_USER}4", "i1", T + 30 * HOUR, 5),  # the end of the log: all windows are over
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("user_id", "item_id", "timestamp", "rating"), *rows])


@pytest.fixture(scope="module")
def measured(served: Served, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str, Path]:
    """The exit code and the output of `online`, and the folder of its files."""
    folder = tmp_path_factory.mktemp("measured")
    write_events(folder / "events.csv", served)
    arguments = ["--config", str(served.config), "--logs", f"{served.logs}/*.tfrecord", "--rollback"]
    arguments += ["--interactions", str(folder / "events.csv"), "--output", str(folder / "found")]
    with redirect_stdout(io.StringIO()) as output:
        code = main(["online", *arguments])
    return code, output.getvalue(), folder / "found"


def by_version(measured: tuple[int, str, Path]) -> tuple[Any, Any]:
    newer, older = json.loads((measured[2] / "online.json").read_text())["measured"]
    return older, newer


def test_the_log_rotates_and_holds_each_request_once(served: Served) -> None:
    files = sorted(served.logs.glob("recommender-*.tfrecord"))
    assert len(files) > 1
    assert all(file.stat().st_size for file in files)
    assert len(list(_records(served.logs))) == 8


def test_clicks_equal_those_counted_by_hand(measured: tuple[int, str, Path]) -> None:
    older, newer = by_version(measured)
    assert [(r["rank"], r["shown"], r["clicked"]) for r in older["ranks"]] == [
        (1, 4, 1),
        (2, 4, 1),
        (3, 4, 1),
        (4, 4, 0),
    ]
    assert [(r["rank"], r["shown"], r["clicked"]) for r in newer["ranks"]] == [
        (1, 4, 1),
        (2, 4, 0),
        (3, 4, 0),
        (4, 4, 1),
    ]
    assert (older["requests"], older["judged"], older["pending"]) == (4, 4, 0)
    assert (older["ctr"], newer["ctr"]) == (3 / 16, 2 / 16)
    # users' clicks of 4 shown items: 1, 0, 0, 1 around a mean of 1/2: sqrt(4 / 3 * 4 * (1/2)^2) / 16
    assert newer["ctr_error"] == pytest.approx((4 / 3) ** 0.5 / 16)


def test_calibration_is_of_the_first_label_of_each_shown_item(served: Served, measured: tuple[int, str, Path]) -> None:
    older, newer = by_version(measured)
    expected = (
        (
            older,
            [
                served.older[f"{RAW_USER}1"][0][1],
                served.older[f"{RAW_USER}1"][2][1],
                served.older[f"{RAW_USER}2"][1][1],
            ],
            [1, 0, 1],
        ),
        (newer, [served.newer[f"{RAW_USER}1"][0][1], served.newer["stranger"][3][1]], [1, 0]),
    )
    for found, predictions, labels in expected:
        (task,) = found["calibrations"]
        assert task["task"] == "like"
        assert sum(b["count"] for b in task["bins"]) == len(labels)
        assert sum(b["count"] * b["predicted"] for b in task["bins"]) == pytest.approx(sum(predictions), rel=1e-5)
        assert sum(b["count"] * b["label"] for b in task["bins"]) == pytest.approx(sum(labels))


def test_ids_and_coverage(served: Served, measured: tuple[int, str, Path]) -> None:
    for found, lists in zip(by_version(measured), (served.older, served.newer), strict=True):
        assert found["coverage"] == len({item for items in lists.values() for item, _ in items}) / 100
        assert found["unknown_users"] == 1 / 4
        assert found["unknown_items"] == 1 / 4


def test_features_are_compared_with_the_versions_own_examples(measured: tuple[int, str, Path]) -> None:
    _, newer = by_version(measured)
    skews = {skew["feature"]: skew for skew in newer["skews"]}
    assert set(skews) == {"user_age", "user_gender", "context_device", "outcome_rating"}
    assert skews["user_gender"]["value"] in "FM"
    assert 0.3 < skews["user_gender"]["found"] < 0.7  # every request is of an F, about half of the users are
    assert (skews["user_age"]["found"], skews["user_age"]["missing"]) == (None, 1)
    assert skews["context_device"]["missing"] == 0
    assert not any(skew["is_significant"] for skew in newer["skews"])  # of four users


def test_a_failed_gate_is_said_and_the_version_is_withdrawn(
    passes: Passes, served: Served, measured: tuple[int, str, Path]
) -> None:
    code, output, _ = measured
    older, newer = passes.versions[2][-2:]
    assert code == common.NOT_PUSHED, output
    assert f"gate FAILS on version {newer}: max_unknown_users: wanted at most 0.2, found 0.2500" in output
    assert re.search(
        f"gate holds on version {newer}: min_ctr_ratio: wanted at least 0.5, found 0.667 of version {older}", output
    )
    assert f"withdrew version {newer} to " in output
    models = Path(load_config(served.config).serving.folder or "")
    assert [path.name for path in models.iterdir()] == [str(v) for v in passes.versions[2][:-1]]


def test_the_page_and_the_metrics(passes: Passes, measured: tuple[int, str, Path]) -> None:
    folder, newer = measured[2], str(passes.versions[2][-1])
    page = (folder / "online.html").read_text()
    assert "✗ fails" in page
    assert page.count("<svg") == 2
    families = list(text_string_to_metric_families((folder / "online.prom").read_text()))
    assert {family.name for family in families} == {PREFIX + name for name in METRICS}
    samples = [sample for family in families for sample in family.samples]
    assert {sample.labels.pop("pipeline") for sample in samples} == {"end-to-end"}
    values = {(s.name.removeprefix(PREFIX), *(s.labels[key] for key in sorted(s.labels))): s.value for s in samples}
    assert values["ctr", newer] == 2 / 16
    assert values["ctr_at_rank", "4", newer] == 1 / 4
    assert values["gate_passed", "max_unknown_users", newer] == 0
    assert abs(values["last_run_timestamp_seconds",] - time.time()) < 3600


def test_a_file_that_cannot_be_read_and_logs_of_nothing(
    served: Served, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["online", "--config", str(served.config), "--output", str(tmp_path)]
    assert main([*arguments, "--logs", f"{tmp_path}/*.tfrecord"]) == common.FAILED
    assert "no such file" in capfd.readouterr().err
