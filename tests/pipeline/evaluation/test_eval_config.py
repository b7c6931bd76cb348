import json
from pathlib import Path

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx import types
from tfx import v1 as tfx

from pipeline.evaluation.baseline import latest_blessed
from pipeline.evaluation.eval_config import Bound, bounds, headline_slice, make_evaluator
from tests.pipeline.evaluation.runs import make_config


def test_each_gate_bounds_its_metric() -> None:
    gates = "[{metric: mrr, min: 0.1, max: 0.9}, {metric: stars/rmse, max_regression: 0.2, split: test}]"
    config = make_config(f"{{gates: {gates}, beat_popularity: {{metric: hr@10, margin: 0.05}}}}")
    assert bounds(config) == [
        Bound("mrr", "eval", "value", 0.1, 0.9),
        Bound("stars/rmse", "test", "change", None, 0.2),
        Bound("lift_hr@10", "eval", "value", 0.05, None),
    ]


def test_a_metric_that_is_better_higher_may_fall_by_the_allowed_regression() -> None:
    config = make_config("{gates: [{metric: mrr, max_regression: 0.2}], beat_popularity: null}")
    first_model = Bound("example_count", "eval", "value", 1, None)  # has nothing to be compared with
    assert bounds(config) == [Bound("mrr", "eval", "change", -0.2, None), first_model]


def test_without_gates_there_is_one_that_every_evaluated_split_passes() -> None:
    config = make_config("{beat_popularity: null, splits: [test]}")
    assert bounds(config) == [Bound("example_count", "test", "value", 1, None)]
    assert headline_slice(config, bounds(config)[0]) == {"split": "test"}


def test_the_headline_is_warm_users_unless_the_split_makes_all_users_cold() -> None:
    bound = Bound("mrr", "eval", "value", 0.1, None)
    assert headline_slice(make_config("{}"), bound) == {"split": "eval", "is_cold_user": "0"}
    by_user = make_config("{}", "split: {method: user_hash}")
    assert headline_slice(by_user, bound) == {"split": "eval"}


def _pipeline(root: Path) -> tfx.dsl.Pipeline:
    config = make_config("{gates: [{metric: mrr, min: 0.1, max_regression: 0.1}]}")
    sources = {"examples": types.standard_artifacts.Examples, "model": types.standard_artifacts.Model}
    importers = {
        name: tfx.dsl.Importer(source_uri=f"gs://bucket/{name}", artifact_type=kind).with_id(name)
        for name, kind in sources.items()
    }
    examples, model = (importers[name].outputs["result"] for name in sources)
    (resolver,) = latest_blessed(config, model)
    evaluator = make_evaluator(config, examples, model, resolver.outputs["model"])
    return tfx.dsl.Pipeline("toy", str(root), components=[*importers.values(), resolver, evaluator])


def test_compiles_for_kubeflow(tmp_path: Path) -> None:
    runner = tfx.orchestration.experimental.KubeflowV2DagRunner(
        config=tfx.orchestration.experimental.KubeflowV2DagRunnerConfig(default_image="image"),
        output_dir=str(tmp_path),
        output_filename="toy.json",
    )
    runner.run(_pipeline(tmp_path / "root"))
    compiled = json.loads((tmp_path / "toy.json").read_text())
    spec = compiled.get("pipelineSpec", compiled)
    parsed = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    assert {"Evaluator", "examples", "model"} < set(parsed.root.dag.tasks)
    assert any("latest_blessed_model" in task for task in parsed.root.dag.tasks)
    assert not (tmp_path / "root").exists(), "nothing is packaged at compile time"
