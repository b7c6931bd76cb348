import json
from pathlib import Path

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx import types
from tfx import v1 as tfx

from pipeline.evaluation.baseline import latest_blessed
from pipeline.evaluation.eval_config import make_evaluator
from tests.pipeline.evaluation.runs import make_config


def _pipeline(root: Path) -> tfx.dsl.Pipeline:
    config = make_config("{gates: [{metric: mrr, min: 0.1, max_regression: 0.1}]}")
    sources = {"examples": types.standard_artifacts.Examples, "model": types.standard_artifacts.Model}
    importers = {
        name: tfx.dsl.Importer(source_uri=f"gs://bucket/{name}", artifact_type=kind).with_id(name)
        for name, kind in sources.items()
    }
    examples, model = (importers[name].outputs["result"] for name in sources)
    resolver = latest_blessed(model)
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
