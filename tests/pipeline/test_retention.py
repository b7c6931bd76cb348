"""Ten daily runs of a tiny pipeline, and what `clean` leaves of them."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from tfx import v1 as tfx

from config import load_config
from pipeline.cli import main
from pipeline.metadata import connection, open_store, pipeline_artifacts
from pipeline.push.withdraw import version_numbers, withdraw
from pipeline.retention import disk_bytes, plan_removal
from pipeline.runners.local import run_pipeline

UNBLESSED = (9, 10)


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """The pipeline after ten days, of which the last two blessed no model; day 5's version was withdrawn."""
    folder = tmp_path_factory.mktemp("days")
    (folder / "a.csv").write_text("user_id,item_id\n1,2\n")
    path = folder / "shop.yaml"
    path.write_text(
        f"{{name: shop, data: {{folder: {folder}, interactions: {{path: a.csv}}}}, pipeline: {{root: {folder}}}}}"
    )
    home = folder / "shop"
    serving = home / "serving" / "recommender"
    after_first = 0
    for day in range(1, 11):
        outcome = run_day(home, day)
        assert set(outcome.states.values()) == {"done"}, outcome.log.read_text()
        after_first = after_first or disk_bytes(home)
        if day == 5:
            (withdrawn,) = withdraw(str(serving))
    return SimpleNamespace(
        config=load_config(path), path=path, home=home, serving=serving, withdrawn=withdrawn, of_one=after_first
    )


def run_day(home: Path, day: int):
    def build():
        from tests.pipeline.runners.tiny_components import bless, fit, push

        trainer = fit(day=day).with_id("Trainer")
        model = trainer.outputs["model"]
        evaluator = bless(model=model, is_blessed=int(day not in UNBLESSED)).with_id("Evaluator")
        base = str(home / "serving" / "recommender")
        pusher = push(model=model, model_blessing=evaluator.outputs["blessing"], base=base).with_id("Pusher")
        components = [trainer, evaluator, pusher]
        return tfx.dsl.Pipeline("shop", str(home / "artifacts"), components=components, enable_cache=True)

    return run_pipeline(build, home)


def models(days) -> list[int]:
    """The days whose models are on disk."""
    files = (days.home / "artifacts").glob("Trainer/model/*/Format-Serving/saved_model.pb")
    return sorted(file.read_bytes()[0] for file in files)


def test_what_a_later_run_or_a_server_needs_stays(days, capsys, monkeypatch):
    versions = version_numbers(days.serving)
    assert len(versions) == 7
    assert main(["clean", "--config", str(days.path), "--keep", "2", "--dry-run"]) == 0
    assert "would remove 5 versions" in capsys.readouterr().out
    assert models(days) == list(range(1, 11))

    def killed(folder: Path) -> None:
        if not removed:
            removed.append(folder)
            return shutil.rmtree(folder)
        raise KeyboardInterrupt

    removed: list[Path] = []
    monkeypatch.setattr("pipeline.retention.shutil", SimpleNamespace(rmtree=killed))
    assert main(["clean", "--config", str(days.path), "--keep", "2"]) == 130
    monkeypatch.undo()
    assert run_day(days.home, 10).states == dict.fromkeys(("Trainer", "Evaluator", "Pusher"), "cached")
    capsys.readouterr()
    assert main(["clean", "--config", str(days.path), "--keep", "2"]) == 0
    shown = capsys.readouterr().out
    # The two newest runs are of day 10, the second from the cache; 8 is the newest blessed, 7 served beside it, 5
    # withdrawn.
    assert models(days) == [5, 7, 8, 10]
    assert version_numbers(days.serving) == versions[-2:]
    assert (days.serving.with_name("recommender.withdrawn") / str(days.withdrawn) / "saved_model.pb").exists()
    assert "now " in shown
    assert disk_bytes(days.home) <= 4 * days.of_one
    newest = days.serving / str(versions[-1]) / "saved_model.pb"
    assert os.stat(newest).st_nlink == 2, "the version and the Trainer's artifact are one file"
    store = open_store(connection(days.home, None))
    gone = [a for a in pipeline_artifacts(store, "shop") if a.type == "Model" and not Path(a.uri).exists()]
    assert gone
    assert all(a.state == a.DELETED for a in gone)
    plan = plan_removal(days.config, 2)
    assert (plan.artifacts, plan.versions, plan.logs) == ([], [], [])


def test_a_removed_run_runs_again(days):
    assert run_day(days.home, 1).states == dict.fromkeys(("Trainer", "Evaluator", "Pusher"), "done")
