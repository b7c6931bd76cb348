import re
import signal
import subprocess
import sys
import time

import pytest

from pipeline.config import parse_config
from pipeline.runners.local import RunError, run_local, run_pipeline
from tests.pipeline.runners.tiny import run_tiny


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("tiny")


def lines(text: str) -> list[str]:
    """Without run id and seconds."""
    return [re.sub(r"\d+\.\d s", "_ s", line) for line in text.splitlines()]


def test_first_run_then_cache_then_failure(home, capfd):
    first = run_tiny(home, "good")
    assert first.states == {"count": "done", "describe": "done"}
    assert first.failed is None
    shown = lines(capfd.readouterr().out)
    assert shown[0] == f"run {first.run_id}, log {first.log}"
    assert shown[1:] == [
        "count     done        _ s  1 output of count",
        "describe  done        _ s  1 output of describe",
    ]

    second = run_tiny(home, "good")
    assert second.states == {"count": "cached", "describe": "cached"}
    assert second.outputs["describe"]["words"][0].uri == first.outputs["describe"]["words"][0].uri

    capfd.readouterr()
    third = run_tiny(home, "bad")
    assert third.states == {"count": "cached", "describe": "failed"}
    assert third.failed == "describe"
    assert third.message == "the numbers should be words. Received: 0 1 2"
    shown = capfd.readouterr()
    assert lines(shown.out)[1:] == ["count     cached      _ s  1 output of count", "describe  failed      _ s"]
    assert shown.err == ""
    assert "Traceback" not in shown.out


def test_a_run_that_was_killed_goes_on_from_the_cache(tmp_path):
    process = subprocess.Popen([sys.executable, "-m", "tests.pipeline.runners.tiny", str(tmp_path), "wait"])
    try:
        until(lambda: (tmp_path / "waiting").exists() or process.poll() is not None)
        with pytest.raises(RunError, match=r"another run in .* is under way"):
            run_tiny(tmp_path, "wait")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (log,) = (tmp_path / "logs").iterdir()
    for said in ("python says hello", "descriptor two says hello", "a child says hello"):
        assert said in log.read_text()
    (tmp_path / "go").touch()
    assert run_tiny(tmp_path, "wait").states == {"count": "cached", "describe": "done"}


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_pipeline_that_cannot_be_built_is_a_failure(tmp_path):
    def build():
        raise ValueError("`pipeline.schema_file` does not exist")

    outcome = run_pipeline(build, tmp_path)
    assert outcome.failed == "starting"
    assert outcome.message == "`pipeline.schema_file` does not exist"
    assert "Traceback" in outcome.log.read_text()


def test_local_runner_needs_a_local_root():
    config = parse_config(
        "{name: x, data: {folder: d, interactions: {path: a.csv}}, pipeline: {root: 'gs://bucket/runs'}}"
    )
    with pytest.raises(RunError, match=r"`pipeline.root` should be a local folder .* Received: 'gs://bucket/runs'"):
        run_local(config)
