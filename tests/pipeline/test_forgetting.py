"""Two runs of a small pipeline, the second without the user, and what `forget` lists and removes."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from tfx import v1 as tfx

from config import load_config
from pipeline.cli import main
from pipeline.forgetting import find_traces
from pipeline.metadata import readable_store
from pipeline.runners.local import run_pipeline
from serving.client.personal import KEY_VARIABLE, hashed
from tests.pipeline.test_request_logs import call, log_of, users_in, write
from tests.serving.models import eventually
from tests.synthetic import write_config, write_tables

KEY = "sixteen characters and more"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forget")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(KEY_VARIABLE, KEY)
        write_tables(folder, users=20, items=20, events=200)
        data = {"interactions": {"personal": ["user_id"]}, "users": {"personal": ["user_id"]}}
        path = write_config(folder, data=data, serving={"log_requests": {"folder": str(folder / "requests")}})
        config = load_config(path)
        home = folder / "pipelines" / "synthetic"
        _run(config, home)
        log = folder / "interactions.csv"
        whole = log.read_text()
        log.write_text("".join(line for line in whole.splitlines(True) if not line.startswith("u3,")))
        _run(config, home)
        log.write_text(whole)
        yield SimpleNamespace(path=path, config=config, home=home, serving=home / "serving" / "recommender")


def _run(config, home: Path) -> None:
    def build():
        from pipeline.ingest.component import InteractionExampleGen
        from tests.pipeline.runners.tiny_components import analyse, bless, push, train

        ingest = InteractionExampleGen(config)
        graph = analyse(examples=ingest.outputs["examples"]).with_id("Transform")
        trainer = train(transform_graph=graph.outputs["transform_graph"]).with_id("Trainer")
        evaluator = bless(model=trainer.outputs["model"], is_blessed=1).with_id("Evaluator")
        pusher = push(
            model=trainer.outputs["model"],
            model_blessing=evaluator.outputs["blessing"],
            base=str(home / "serving" / "recommender"),
        ).with_id("Pusher")
        components = [ingest, graph, trainer, evaluator, pusher]
        return tfx.dsl.Pipeline(config.name, str(home / "artifacts"), components=components, enable_cache=True)

    outcome = run_pipeline(build, home)
    assert set(outcome.states.values()) == {"done"}, outcome.log.read_text()


def _kept(home: Path) -> list[str]:
    folders = home.glob("artifacts/*/*/*")
    return sorted(str(path.relative_to(home / "artifacts")) for path in folders if path.parent.parent.name != ".system")


def test_what_holds_a_user_is_listed_and_then_removed_and_nothing_else(runs, capsys):
    reports = runs.home / "reports" / "1"
    reports.mkdir(parents=True)
    for name, text in (("named.html", f"a bad row of '{hashed('u3', KEY.encode())}'"), ("other.html", "u33, xu3")):
        (reports / name).write_text(text)
    before, (first, second) = _kept(runs.home), sorted(path.name for path in runs.serving.glob("[0-9]*"))
    assert main(["forget", "u3", "--config", str(runs.path)]) == 0
    shown = capsys.readouterr().out
    events = (runs.path.parent / "interactions.csv").read_text().count("\nu3,")
    assert f"table interactions.csv (user_id): {events} rows of the user" in shown
    assert "table users.csv (user_id): 1 rows of the user" in shown
    assert re.search(r"^examples .*/InteractionExampleGen/examples/1: [3-9] windows of the user$", shown, re.MULTILINE)
    made = "5 artifacts (1 Examples, 1 Model, 1 ModelBlessing, 1 PushedModel, 1 TransformGraph)"
    assert f"to remove: {made}" in shown
    assert f"  {reports / 'named.html'}\n" in shown
    assert "other.html" not in shown
    assert f"version {first} was trained on the user's events, and answers or may answer: {runs.serving}" in shown
    assert f"version {second}" not in shown
    assert _kept(runs.home) == before

    assert main(["forget", "u3", "--config", str(runs.path), "--remove"]) == 0
    assert f"removed: {made}" in capsys.readouterr().out
    assert len(_kept(runs.home)) == len(before) - 5
    assert [path.name for path in reports.iterdir()] == ["other.html"]
    assert (runs.serving / first / "saved_model.pb").exists()
    traces = find_traces(runs.config, ["u3", hashed("u3", KEY.encode())], readable_store(runs.config))
    assert (traces.windows, traces.artifacts, traces.texts) == ({}, [], [])


def test_requests_by_the_hash_go_but_from_the_file_that_a_server_writes_to(runs, monkeypatch, capsys):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    folder, log, name = runs.path.parent / "requests", log_of(runs.config), hashed("caller", KEY.encode())
    write(log, call(name), call("u2"), call(name))
    eventually(lambda: [len(users_in(file)) for file in sorted(folder.glob("*"))] == [2, 1])
    closed, opened = sorted(folder.iterdir())
    assert main(["forget", "caller", "--config", str(runs.path)]) == 0
    shown = capsys.readouterr().out
    assert f"\nto remove: 1 requests of the user in {closed}\n" in shown
    assert f"\nnot to remove yet: 1 requests of the user in {opened}, which a server still writes to" in shown
    assert main(["forget", "caller", "--config", str(runs.path), "--remove"]) == 1
    assert (users_in(closed), users_in(opened)) == ([[b"u2"]], [[name.encode()]])
    log.stop()
    assert main(["forget", "caller", "--config", str(runs.path), "--remove"]) == 0
    assert list(folder.iterdir()) == [closed]


def test_a_user_nobody_knows_and_a_missing_key(runs, capsys, monkeypatch):
    assert main(["forget", "nobody", "--config", str(runs.path)]) == 0
    assert "to remove: 0 artifacts\n" in capsys.readouterr().out
    monkeypatch.delenv(KEY_VARIABLE)
    assert main(["forget", "u3", "--config", str(runs.path)]) == 2
    assert KEY_VARIABLE in capsys.readouterr().err
