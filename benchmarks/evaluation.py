"""What the Evaluator takes on a large catalogue, with a sample of users and with all of them.

    python -m benchmarks.evaluation
    python -m benchmarks.evaluation --max-users 2000 --split global_time --history frozen

The log is made (`benchmarks.scale`). The pipeline runs once, with the defaults and two epochs, its Evaluator with the
first `--max-users`. Then the Evaluator alone measures the model again for every `--max-users`, in a process of its own:
its CPU seconds, over all threads, with the imports and the loading of the model. Only times mean anything here.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.apart import measured_apart
from benchmarks.console import plain_table, wide_console
from benchmarks.scale import configuration, make_log
from config import Config, parse_config
from pipeline.evaluation.results import headlines
from pipeline.runners.local import run_local

EVENTS, USERS, ITEMS = 300_000, 30_000, 105_000
"""As `make_log` takes them: of the items, some 61,000 have events."""
_EPOCHS: Final = 2


def main() -> int:
    """Runs the pipeline and prints the Evaluator's seconds by the size of the sample; the exit code."""
    arguments = _parser().parse_args()
    if arguments.folder:
        print(json.dumps(measure(Path(arguments.folder), arguments.sample)))
        return 0
    with tempfile.TemporaryDirectory(prefix="evaluation-") as folder:
        home = Path(folder)
        log = make_log(arguments.events, arguments.users, arguments.items)
        log.to_parquet(home / "interactions.parquet", index=False)
        size = f"{len(log):,} events, {log['user'].nunique():,} users, {log['item'].nunique():,} items"
        outcome = run_local(_config(home, arguments.split, arguments.history, arguments.max_users[0] or None))
        if outcome.failed:
            print(f"{outcome.failed} failed: {outcome.message}; the whole log: {outcome.log}")
            return 1
        print(f"{size}: the run took {outcome.seconds:.0f} s")
        uris = {name: outcome.outputs[c][name][0].uri for c, name in _INPUTS}
        Path(home, _RUN).write_text(json.dumps(uris | {"split": arguments.split, "history": arguments.history}))
        table = plain_table(["users of a split"], ["CPU s", "s", "ndcg@10", "standard error"])
        for users in arguments.max_users:
            found = measured_apart("benchmarks.evaluation", folder=home, sample=users)
            numbers = [
                f"{found['cpu']:.1f}",
                f"{found['seconds']:.1f}",
                f"{found['ndcg']:.4f}",
                f"{found['error']:.4f}",
            ]
            table.add_row(f"{found['users']:,.0f}", *numbers)
        wide_console(100).print(table)
    return 0


def measure(home: Path, max_users: int) -> dict[str, float]:
    """Evaluates the model of a run in this process; all users for a `max_users` of 0."""
    run = json.loads(Path(home, _RUN).read_text())
    config = _config(home, run["split"], run["history"], max_users or None)
    with tempfile.TemporaryDirectory(prefix="evaluation-") as folder:
        started = time.time()
        uri = _evaluate(config, run, Path(folder))
        used = resource.getrusage(resource.RUSAGE_SELF)
        found = headlines(uri)["test"].metrics
    return {
        "cpu": used.ru_utime + used.ru_stime,
        "seconds": time.time() - started,
        "users": found["users"],
        "ndcg": found["ndcg@10"],
        "error": found["stderr_ndcg@10"],
    }


_INPUTS: Final = (("InteractionExampleGen", "examples"), ("Trainer", "model"))
_RUN: Final = "run.json"


def _evaluate(config: Config, run: dict[str, str], folder: Path) -> str:
    """Runs the Evaluator's executor without metadata, and returns the folder of the evaluation."""
    from tfx import v1 as tfx
    from tfx.components.evaluator import executor

    from pipeline.evaluation.eval_config import make_evaluator

    types, channel = tfx.types.standard_artifacts, tfx.dsl.Channel
    component = make_evaluator(config, channel(types.Examples), channel(types.Model), channel(types.Model))
    inputs = {"examples": [_artifact(types.Examples, run["examples"])], "model": [_artifact(types.Model, run["model"])]}
    inputs["examples"][0].split_names = json.dumps(["train", "eval", "test", "items"])
    outputs = {
        "evaluation": [_artifact(types.ModelEvaluation, str(folder / "evaluation"))],
        "blessing": [_artifact(types.ModelBlessing, str(folder / "blessing"))],
    }
    context = executor.Executor.Context(
        beam_pipeline_args=[*config.pipeline.beam.arguments], tmp_dir=str(folder / "tmp"), unique_id="1"
    )
    properties = {name: value for name, value in component.exec_properties.items() if value is not None}
    executor.Executor(context).Do(inputs, outputs, properties)
    return str(folder / "evaluation")


def _artifact(kind: Any, uri: str) -> Any:
    artifact = kind()
    artifact.uri = uri
    return artifact


def _config(home: Path, split: str, history: str, max_users: int | None = None) -> Config:
    values = configuration(home / "interactions.parquet", str(home / "runs")).model_dump(
        mode="json", exclude_unset=True
    )
    values |= {"training": {"epochs": _EPOCHS}, "split": {"method": split, "history": history}}
    values["evaluation"] = {"max_users": max_users}
    return parse_config(json.dumps(values), "the benchmark of the Evaluator")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--split", default="leave_last_out", help="the method (default: %(default)s)")
    parser.add_argument("--history", default="rolling", choices=["frozen", "rolling"])
    parser.add_argument("--max-users", type=int, nargs="+", default=[2000, 0], help="0: all (default: 2000 0)")
    parser.add_argument("--folder", help="measures the run in this folder, in this process, and prints JSON")
    parser.add_argument("--sample", type=int, default=0)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
