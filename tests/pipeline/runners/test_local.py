import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx.types import standard_artifacts

from config import parse_config, paths
from pipeline.cli import common, main
from pipeline.metadata import open_store, sqlite_connection
from pipeline.runners import local
from pipeline.runners.local import Outcome, RunError, run_local, run_pipeline
from tests.pipeline.runners.tiny import run_tiny


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("tiny")


def lines(text: str) -> list[str]:
    """Without time of day and seconds."""
    return [re.sub(r"\d+\.\d s", "_ s", line.partition("  ")[2]) for line in text.splitlines()]


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
    component = tmp_path / "artifacts" / "describe"
    assert _folders(tmp_path, "2") == [f"{component}/.system/executor_execution/2", f"{component}/words/2"]
    (component / "words" / "2" / "beam-temp-value-1").write_text("half")
    (tmp_path / "go").touch()
    assert run_tiny(tmp_path, "wait").states == {"count": "cached", "describe": "done"}
    assert _folders(tmp_path, "2") == []
    assert list(tmp_path.glob("artifacts/*/.system/stateful_working_dir/*")) == []
    store = open_store(sqlite_connection(tmp_path / "metadata.sqlite", is_written=False))
    states = [execution.last_known_state for execution in store.get_executions()]
    assert states == [
        metadata_store_pb2.Execution.State.Value(s) for s in ("COMPLETE", "CANCELED", "CACHED", "COMPLETE")
    ]


def _folders(home, execution):
    return sorted(str(path) for path in home.glob(f"artifacts/**/{execution}"))


def test_metadata_that_are_damaged_stop_the_run_and_go_as_the_message_says(home, capfd):
    run_tiny(home, "good")
    database = home / "metadata.sqlite"
    database.write_bytes(database.read_bytes()[:5000])
    with pytest.raises(RunError, match=rf"^{database}: the metadata are damaged .*`mv {database} {database}.damaged`"):
        run_tiny(home, "good")
    database.rename(f"{database}.damaged")
    again = run_tiny(home, "good")
    assert again.states == {"count": "done", "describe": "done"}
    (aside,) = home.glob("artifacts-before-*")
    assert (aside / "count").is_dir()
    shown = capfd.readouterr().out
    assert f"warning: no metadata tell of the artifacts in {home}/artifacts: they were moved to {aside}." in shown
    assert run_tiny(home, "good").states == {"count": "cached", "describe": "cached"}


def until(condition, seconds=300):
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


@pytest.fixture
def rerun(tmp_path, monkeypatch):
    """A run of one pipeline that is all cache, told by the version that it pushed once and by a key that changed."""

    def run(version, default_k=10):
        config = parse_config(
            "{name: shop, data: {folder: d, interactions: {path: a.csv}}, "
            f"pipeline: {{root: {tmp_path}}}, serving: {{default_k: {default_k}}}}}"
        )
        pushed = standard_artifacts.PushedModel()
        pushed.uri = f"pushed/{version}"
        pushed.set_int_custom_property("pushed", 1)
        pushed.set_string_custom_property("pushed_version", str(version))
        pushed.set_string_custom_property("pushed_destination", f"{paths.serving(config)}/{version}")
        outcome = Outcome("now", tmp_path / "log")
        outcome.states, outcome.outputs = {"Pusher": "cached"}, {"Pusher": {"pushed_model": [pushed]}}
        monkeypatch.setattr(local, "run_pipeline", lambda *arguments: outcome)
        return run_local(config)

    folder = tmp_path / "shop" / "serving" / "recommender"
    for version in ("100", "200"):
        (folder / version).mkdir(parents=True)
    return SimpleNamespace(run=run, folder=folder, page=tmp_path / "shop" / "report.html")


def test_only_the_newest_version_answers(rerun):
    newest = rerun.run(200)
    assert newest.verdict == f"version 200 serves from {rerun.folder}/200"
    assert newest.pushed == f"{rerun.folder}/200"
    older = rerun.run(100)
    assert older.verdict == (
        "version 100 was pushed earlier and version 200, which is newer, answers: "
        "`tfx_runner.py rollback --to 100` with this configuration withdraws what is newer"
    )
    assert older.pushed is None
    (rerun.folder / "200" / "manifest.sha256").write_text("")
    assert rerun.run(200).verdict.startswith("version 200 was pushed earlier but is damaged: ")
    (rerun.folder / "200").rename(rerun.folder / ".gone")
    assert rerun.run(100).pushed == f"{rerun.folder}/100"
    assert rerun.run(200).verdict.startswith("version 200 was pushed earlier but ")


def test_the_page_is_always_of_this_run(rerun):
    assert rerun.run(200).report == rerun.page
    assert "version 200 serves from" in rerun.page.read_text()
    rerun.page.write_text(rerun.page.read_text() + "not written again")
    assert rerun.run(200).report == rerun.page
    assert "not written again" in rerun.page.read_text()
    rerun.run(100)
    assert "version 100 was pushed earlier" in rerun.page.read_text()
    rerun.run(100, default_k=5)
    assert "default_k: 5" in rerun.page.read_text()


def test_a_page_that_cannot_be_written_is_reported(rerun, tmp_path, capfd):
    assert (rerun.run(200).metrics, rerun.run(200).report_problem) == (rerun.page.with_name("metrics.json"), "")
    rerun.page.unlink()
    rerun.page.mkdir()
    outcome = rerun.run(200, default_k=5)
    assert (outcome.report, outcome.metrics) == (None, None)
    assert outcome.report_problem == f"[Errno 21] Is a directory: '{rerun.page}'"
    (tmp_path / "a.csv").write_text("user_id,item_id,timestamp\n1,2,3\n")
    (tmp_path / "shop.yaml").write_text(
        f"{{name: shop, data: {{folder: {tmp_path}, interactions: {{path: a.csv}}}}, pipeline: {{root: {tmp_path}}}}}"
    )
    capfd.readouterr()
    assert main(["run", "--config", str(tmp_path / "shop.yaml")]) == common.OK
    shown = capfd.readouterr()
    assert f"warning: the report could not be written: {outcome.report_problem}\nthe whole log: " in shown.err
    assert "report:" not in shown.out
