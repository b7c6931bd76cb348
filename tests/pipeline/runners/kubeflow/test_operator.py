from pathlib import Path

import pytest
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec
from tfx import v1 as tfx

from config import ConfigError
from pipeline.runners.kubeflow.operator import VARIABLE, create_components

EXAMPLE = Path(__file__).parents[4] / "examples" / "movielens-100k.yaml"


@pytest.mark.parametrize("is_2_1", [True, False])
def test_kfp_operator_compiles_the_components(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_2_1: bool) -> None:
    monkeypatch.setenv(VARIABLE, str(EXAMPLE))
    experimental = tfx.orchestration.experimental
    settings = experimental.KubeflowV2DagRunnerConfig("shop", default_image="image", use_pipeline_spec_2_1=is_2_1)
    runner = experimental.KubeflowV2DagRunner(settings, str(tmp_path), "pipeline.yaml")
    runner.run(tfx.dsl.Pipeline("shop", components=create_components(), enable_cache=False, beam_pipeline_args=[]))
    document = yaml.safe_load((tmp_path / "pipeline.yaml").read_text())
    tasks = json_format.ParseDict(document, PipelineSpec()).root.dag.tasks
    assert {"InteractionExampleGen", "Trainer", "Evaluator", "Pusher"} < set(tasks)


def test_a_missing_configuration_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ConfigError, match="`RECOMMENDER_CONFIG` should be the path of a configuration"):
        create_components()
