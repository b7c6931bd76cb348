import os
import subprocess
import time
from pathlib import Path

from tfx import v1 as tfx

from pipeline.push.versions import push_version

String = tfx.types.standard_artifacts.String


@tfx.dsl.components.component
def count(numbers: tfx.dsl.components.OutputArtifact[String], limit: tfx.dsl.components.Parameter[int]):
    print("python says hello", flush=True)
    os.write(2, b"descriptor two says hello\n")
    subprocess.run(["echo", "a child says hello"], check=True)
    Path(numbers.uri).write_text(" ".join(map(str, range(limit))))


@tfx.dsl.components.component
def describe(
    numbers: tfx.dsl.components.InputArtifact[String],
    words: tfx.dsl.components.OutputArtifact[String],
    mode: tfx.dsl.components.Parameter[str],
):
    if mode == "bad":
        raise ValueError("the numbers should be words. Received: 0 1 2")
    if mode == "wait":
        go = Path(numbers.uri).parents[4] / "go"
        (go.parent / "waiting").touch()
        while not go.exists():
            time.sleep(0.1)
    Path(words.uri).write_text(Path(numbers.uri).read_text())


@tfx.dsl.components.component
def fit(
    model: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Model], day: tfx.dsl.components.Parameter[int]
):
    folder = Path(model.uri, "Format-Serving")
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(bytes([day]) * 100_000)


@tfx.dsl.components.component
def bless(
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    blessing: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.ModelBlessing],
    is_blessed: tfx.dsl.components.Parameter[int],
):
    Path(blessing.uri, "BLESSED" if is_blessed else "NOT_BLESSED").touch()
    blessing.set_int_custom_property("blessed", is_blessed)
    blessing.set_int_custom_property("current_model_id", model.id)


@tfx.dsl.components.component
def push(
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    model_blessing: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ModelBlessing],
    pushed_model: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.PushedModel],
    base: tfx.dsl.components.Parameter[str],
):
    pushed_model.set_int_custom_property("pushed", int(model_blessing.get_int_custom_property("blessed")))
    if model_blessing.get_int_custom_property("blessed"):
        version, path = push_version(f"{model.uri}/Format-Serving", base)
        pushed_model.set_string_custom_property("pushed_version", str(version))
        pushed_model.set_string_custom_property("pushed_destination", path)


@tfx.dsl.components.component
def analyse(
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    transform_graph: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.TransformGraph],
):
    Path(transform_graph.uri, "vocabulary").write_text("u3")


@tfx.dsl.components.component
def train(
    transform_graph: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.TransformGraph],
    model: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Model],
):
    folder = Path(model.uri, "Format-Serving")
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(Path(transform_graph.uri, "vocabulary").read_bytes())
