import io
import json
from datetime import datetime

from config.progress import ProgressLine
from pipeline.runners.json_lines import JsonLines
from tests.pipeline.runners.tiny import run_tiny


def test_a_run_is_told_in_objects(tmp_path, capfd):
    good = run_tiny(tmp_path, "good", log_format="json")
    bad = run_tiny(tmp_path, "bad", log_format="json")
    shown = capfd.readouterr()
    assert shown.err == ""
    lines = [json.loads(line) for line in shown.out.splitlines()]
    assert all(datetime.fromisoformat(line["time"]).tzinfo for line in lines)
    assert [line["run"] for line in lines if line["event"] == "message"] == [good.run_id, bad.run_id]
    ended = [(line["component"], line["state"], line["level"]) for line in lines if line["event"] == "ended"]
    cached = ("count", "cached", "info")
    assert ended == [("count", "done", "info"), ("describe", "done", "info"), cached, ("describe", "failed", "error")]
    assert lines[-1]["message"] == "the numbers should be words. Received: 0 1 2"
    assert lines[-1]["seconds"] == round(bad.component_seconds["describe"], 3)
    assert next(line for line in lines if line.get("state") == "done")["message"] == "1 output of count"


def test_a_training_has_step_and_loss():
    stream, fields = io.StringIO(), {"epoch": 1, "step": 20, "loss": {"retrieval": 6.5}}
    with JsonLines(stream, "now") as lines:
        news = [[ProgressLine("step 20", is_lasting=False, fields=fields)]]
        lines.start("Trainer", news=lambda: news.pop() if news else [])
        lines.finish("done", "ndcg 0.1")
        lines.warn("the loss is large")
    started, progress, ended, warning = map(json.loads, stream.getvalue().splitlines())
    assert (started["event"], started["component"]) == ("started", "Trainer")
    assert progress.items() >= {"event": "progress", "component": "Trainer", "message": "step 20", **fields}.items()
    assert (ended["state"], ended["message"]) == ("done", "ndcg 0.1")
    assert warning.items() >= {"level": "warning", "component": "Trainer", "message": "the loss is large"}.items()
