"""The log of served requests: its files, its bounds, and what it does when it cannot write."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from serving.server import request_log
from serving.server.calls import Metrics
from serving.server.flags import UsageError, parse_flags, read_models
from serving.server.request_log import RequestLog
from tests.serving.models import eventually
from trainer.export.prediction_log import read_prediction_log

SERVABLE: Any = SimpleNamespace(name="m", version=7)
CONFIG = """name: "m" base_path: "/m" logging_config {{ sampling_config {{ sampling_rate: {rate} }}
  log_collector_config {{ type: "tfrecord" filename_prefix: "{prefix}" }} }}"""


def model(prefix: Path, rate: float = 1.0) -> Any:
    return text_format.Parse(CONFIG.format(prefix=prefix, rate=rate), model_server_config_pb2.ModelConfig())


def make_log(number: int) -> prediction_log_pb2.PredictLog:
    log = prediction_log_pb2.PredictLog(request=predict_pb2.PredictRequest(output_filter=[str(number), "x" * 200]))
    log.response.model_spec.version.value = 7
    return log


def started(prefix: Path, *flags: str, rate: float = 1.0) -> tuple[RequestLog, Metrics]:
    metrics = Metrics()
    log = RequestLog(parse_flags(list(flags)), metrics)
    log.configure([model(prefix, rate)])
    return log, metrics


def counted(metrics: Metrics, code: str) -> int:
    """The number of records with a code on the metrics page."""
    start = f':tensorflow:serving:request_log_count{{model_name="m",status_code="{code}"}} '
    lines = [line for line in metrics.page().decode().splitlines() if line.startswith(start)]
    return int(float(lines[0].removeprefix(start))) if lines else 0


def numbers(path: Path) -> list[int]:
    return [int(log.request.output_filter[0]) for log in read_prediction_log(str(path))]


def test_files_rotate_by_size_and_the_oldest_go(tmp_path: Path) -> None:
    prefix = tmp_path / "new" / "m"
    log, metrics = started(prefix, "--request_log_max_bytes=500", "--request_log_max_files=3")
    for number in range(11):
        log.add(SERVABLE, "recommend", lambda number=number: make_log(number))  # type: ignore[misc]
    log.stop()
    files = sorted(prefix.parent.glob("m-*.tfrecord"))
    assert [numbers(file) for file in files] == [[6, 7], [8, 9], [10]]
    assert counted(metrics, "OK") == 11
    assert prefix.parent.stat().st_mode & 0o007 == 0


def test_files_rotate_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_log, "_FLUSH_SECONDS", 0.05)
    log, _ = started(tmp_path / "m", "--request_log_max_seconds=0.2")
    log.add(SERVABLE, "recommend", lambda: make_log(1))
    eventually(lambda: not log._files and any(path.stat().st_size for path in tmp_path.glob("m-*")))
    log.add(SERVABLE, "recommend", lambda: make_log(2))
    eventually(lambda: len(list(tmp_path.glob("m-*"))) == 2)
    log.stop()
    assert [numbers(file) for file in sorted(tmp_path.glob("m-*"))] == [[1], [2]]


def test_a_full_queue_drops_and_delays_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_log, "_QUEUED", 5)
    log, metrics = started(tmp_path / "m")
    is_busy, may_go = threading.Event(), threading.Event()

    def slow() -> prediction_log_pb2.PredictLog:
        is_busy.set()
        may_go.wait(20)
        return make_log(0)

    log.add(SERVABLE, "recommend", slow)
    assert is_busy.wait(20)
    for _ in range(8):  # the thread that would write them waits
        log.add(SERVABLE, "recommend", lambda: make_log(1))
    assert counted(metrics, "RESOURCE_EXHAUSTED") == 3
    may_go.set()
    log.stop()
    assert counted(metrics, "OK") == 6


def test_a_folder_that_cannot_be_written_costs_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    log, metrics = started(tmp_path / "file" / "m")
    log.add(SERVABLE, "recommend", lambda: make_log(0))
    eventually(lambda: counted(metrics, "UNAVAILABLE") == 1)
    log.configure([model(tmp_path / "m")])
    log.add(SERVABLE, "recommend", lambda: make_log(1))  # within the pause after a failure
    eventually(lambda: counted(metrics, "UNAVAILABLE") == 2)
    log._resume_at = 0.0
    log.add(SERVABLE, "recommend", lambda: make_log(2))
    log.stop()
    assert [numbers(file) for file in tmp_path.glob("m-*")] == [[2]]


def test_a_sample_is_logged_and_of_other_models_nothing(tmp_path: Path) -> None:
    log, metrics = started(tmp_path / "m", rate=0.25)
    for number in range(1000):
        log.add(SERVABLE, "recommend", lambda number=number: make_log(number))  # type: ignore[misc]
        log.add(SimpleNamespace(name="other", version=1), "recommend", lambda: make_log(0))  # type: ignore[arg-type]
    log.stop()
    assert 170 < counted(metrics, "OK") < 330  # six standard deviations
    (file,) = tmp_path.glob("*")
    assert len(numbers(file)) == counted(metrics, "OK")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"tfrecord"', '""'), "type should be 'tfrecord'. Received: ''"),
        (('"/logs/m"', '"logs/m"'), "filename_prefix should be an absolute path. Received: 'logs/m'"),
        (("1.0", "1.5"), "sampling_rate should be from 0 to 1. Received: 1.5"),
    ],
)
def test_a_wrong_logging_config_is_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    text = CONFIG.format(prefix="/logs/m", rate=1.0).replace(*change)
    (tmp_path / "models").write_text(f"model_config_list {{ config {{ {text} }} }}")
    with pytest.raises(UsageError, match=message):
        read_models(parse_flags([f"--model_config_file={tmp_path}/models"]))
