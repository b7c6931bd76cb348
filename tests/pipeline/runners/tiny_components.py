import os
import subprocess
import time
from pathlib import Path

from tfx import v1 as tfx

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
