import pytest
from kfp.pipeline_spec.pipeline_spec_pb2 import ExecutorInput, ExecutorOutput, RuntimeArtifact
from tfx.types import standard_artifacts

from pipeline.runners.kubeflow.artifacts import local_path, mark_absent, to_kfp, to_tfx

TITLES = {"inputs": {"model": "tfx.Model", "baseline": "tfx.Model"}, "outputs": {"blessing": "tfx.ModelBlessing"}}


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("gs://bucket/a/b", "/gcs/bucket/a/b"),
        ("s3://bucket/a", "/s3/bucket/a"),
        ("minio://mlpipeline/v2/artifacts/a", "/minio/mlpipeline/v2/artifacts/a"),
    ],
)
def test_files_are_where_the_launcher_of_kfp_puts_them(uri: str, path: str) -> None:
    assert local_path(RuntimeArtifact(uri=uri)) == path
    assert local_path(RuntimeArtifact(uri=uri, custom_path="/elsewhere")) == "/elsewhere"


def test_other_places_are_refused() -> None:
    with pytest.raises(ValueError, match=r"should begin with one of gs://, minio://, s3://\. Received: '/mnt/a'"):
        local_path(RuntimeArtifact(uri="/mnt/a"))


def test_artifacts_get_types_and_local_paths_and_their_uris_again() -> None:
    marked = standard_artifacts.Model()
    mark_absent(marked)
    given = ExecutorInput()
    given.inputs.artifacts["model"].artifacts.add(name="7", uri="minio://b/model").type.instance_schema = ""
    absent = given.inputs.artifacts["baseline"].artifacts.add(name="8", uri="minio://b/baseline")
    absent.metadata["absent"] = marked.get_int_custom_property("absent")
    for key in ("blessing", "executor-logs"):
        given.outputs.artifacts[key].artifacts.add(
            name=key, uri=f"minio://b/{key}"
        ).type.schema_title = "system.Artifact"
    changed = ExecutorInput()
    changed.CopyFrom(given)
    to_tfx(changed, TITLES)
    (model,) = changed.inputs.artifacts["model"].artifacts
    assert (model.name, model.uri, model.type.schema_title) == ("7", "/minio/b/model", "tfx.Model")
    assert not changed.inputs.artifacts["baseline"].artifacts  # as TFX passes an optional input without an artifact
    assert set(changed.inputs.artifacts) == {"model", "baseline"}
    assert set(changed.outputs.artifacts) == {"blessing"}  # the launcher writes the log
    (blessing,) = changed.outputs.artifacts["blessing"].artifacts
    assert (blessing.uri, blessing.type.schema_title) == ("/minio/b/blessing", "tfx.ModelBlessing")
    output = ExecutorOutput()
    written = output.artifacts["blessing"].artifacts.add(uri=blessing.uri)
    written.metadata.update({"blessed": 1, "unset": None})
    to_kfp(output, given)
    assert written.uri == "minio://b/blessing"
    assert dict(written.metadata) == {"blessed": 1}  # KFP fails to store null
