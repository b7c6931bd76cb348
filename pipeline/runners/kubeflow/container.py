"""The entry point of all containers on KFP: TFX's own, with artifacts as TFX knows them.

python -m pipeline.runners.kubeflow.container --artifact_types TYPES --executor_class_path ... (TFX's options)
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import app
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

from pipeline.runners.kubeflow.artifacts import to_kfp, to_tfx

TYPES = "--artifact_types"
"""The option with `artifacts.Titles` as JSON."""
_INPUT = "--json_serialized_invocation_args"


def run(arguments: Sequence[str]) -> None:
    """Runs one component and writes KFP's ExecutorOutput where its ExecutorInput says; exits as TFX's entry point does.

    Args:
      arguments: `TYPES` and TFX's options.
    """
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument(TYPES, type=json.loads, required=True)
    parser.add_argument(_INPUT, required=True, dest="given")
    own, others = parser.parse_known_args(arguments)
    given = json_format.Parse(own.given, pipeline_spec_pb2.ExecutorInput(), ignore_unknown_fields=True)
    changed = pipeline_spec_pb2.ExecutorInput()
    changed.CopyFrom(given)
    to_tfx(changed, own.artifact_types)

    def execute(parsed: Any) -> None:
        kubeflow_v2_run_executor.main(parsed)
        file = Path(given.outputs.output_file)
        output = json_format.Parse(file.read_text(encoding="utf-8"), pipeline_spec_pb2.ExecutorOutput())
        to_kfp(output, given)
        file.write_text(json_format.MessageToJson(output), encoding="utf-8")

    argv = [sys.argv[0], _INPUT, json_format.MessageToJson(changed, indent=None), *others]
    app.run(execute, argv, flags_parser=kubeflow_v2_run_executor._parse_flags)


if __name__ == "__main__":
    run(sys.argv[1:])
