"""Runs a PipelineSpec as open-source Kubeflow Pipelines does, by its driver and launcher (backend/src/v2).

Between containers there are only an object store, the declared volumes, and what KFP keeps of an artifact: an id, a URI
and metadata without types. Containers get local copies of their inputs and KFP's ExecutorInput in place of `{{$}}`;
what they leave is uploaded. A task is taken from the cache where the container, the values of parameters and the ids of
input artifacts are those of an earlier one.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as kfp

from tests.pipeline.runners.kubeflow.processes import Processes

_SCHEME = "minio://"


@dataclass(frozen=True)
class Artifact:
    """What KFP knows of an artifact."""

    id: str
    uri: str
    metadata: Mapping[str, Any]


@dataclass
class Task:
    """A task that ended.

    Attributes:
      state: `done`, `cached` or `failed`.
      log: What the container printed.
    """

    state: str
    log: Path
    parameters: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)


class Cluster:
    """A namespace with KFP.

    Args:
      folder: Of the object store and all logs.
      processes: What starts containers.
    """

    def __init__(self, folder: Path, processes: Processes) -> None:
        self._folder, self._processes = folder, processes
        self._cache: dict[str, Task] = {}
        self._artifacts = 0

    def run(self, path: Path, fresh_process: str = "", **parameters: str) -> dict[str, Task]:
        """Runs a pipeline until a task fails, and returns its tasks.

        Args:
          path: The PipelineSpec.
          fresh_process: A task whose container is not forked but started, by the command line as it stands.
          **parameters: The values of root parameters other than their defaults.
        """
        run, run_id = _Run(path, parameters), uuid.uuid4().hex
        finished: dict[str, Task] = {}
        while ready := run.ready(finished):
            for name in ready:
                finished[name] = self._task(run, run_id, name, finished, name == fresh_process)
                if finished[name].state == "failed":
                    return finished
        return finished

    def files(self, artifact: Artifact) -> Path:
        """Returns the folder of an artifact in the object store."""
        return self._folder / "store" / artifact.uri.removeprefix(_SCHEME)

    def _task(self, run: "_Run", run_id: str, name: str, finished: Mapping[str, Task], is_fresh: bool) -> Task:
        local = self._folder / "pods" / run_id / name
        given = run.inputs(name, run_id, finished)
        key = run.fingerprint(name, given)
        if run.is_cached(name) and key in self._cache:
            found = self._cache[key]
            return Task("cached", found.log, found.parameters, found.artifacts)
        self._download(given, local)
        run.provision(given, name, f"{_SCHEME}store/{name}/{uuid.uuid4().hex}", local)
        task = Task("done", local / "log")
        code = self._launch(run.command(name, given), run.environment(name), local, is_fresh)
        if code:
            task.state = "failed"
            return task
        self._publish(given, task)
        self._cache[key] = task
        shutil.rmtree(local / "files", ignore_errors=True)
        return task

    def _launch(self, command: list[str], env: Mapping[str, str], local: Path, is_fresh: bool) -> int:
        work, log = local / "work", local / "log"
        work.mkdir(parents=True)
        if not is_fresh:
            return self._processes.run(command, env, work, log)
        with log.open("wb") as file:
            done = subprocess.run(
                [sys.executable, *command[1:]], cwd=work, stdout=file, stderr=file, env=run_environment(env)
            )
        return done.returncode

    def _download(self, given: kfp.ExecutorInput, local: Path) -> None:
        for key, found in given.inputs.artifacts.items():
            for artifact in found.artifacts:
                source = self._folder / "store" / artifact.uri.removeprefix(_SCHEME)
                artifact.custom_path = str(local / "files" / "inputs" / key)
                if source.exists():
                    shutil.copytree(source, artifact.custom_path)

    def _publish(self, given: kfp.ExecutorInput, task: Task) -> None:
        output = kfp.ExecutorOutput()
        json_format.Parse(Path(given.outputs.output_file).read_text(), output)
        task.parameters = {key: json_format.MessageToDict(value) for key, value in output.parameter_values.items()}
        assert set(task.parameters) == set(given.outputs.parameters)
        for key, found in given.outputs.artifacts.items():
            (artifact,) = found.artifacts
            (written,) = output.artifacts[key].artifacts
            assert written.uri == artifact.uri
            target = self._folder / "store" / artifact.uri.removeprefix(_SCHEME)
            if (source := Path(artifact.custom_path)).is_dir():
                shutil.copytree(source, target)
            elif source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
            metadata = json_format.MessageToDict(written.metadata)
            assert None not in metadata.values(), "KFP cannot store null"
            self._artifacts += 1
            extra = {"display_name": key, "store_session_info": "{}"}
            task.artifacts[key] = Artifact(str(self._artifacts), artifact.uri, _stored(metadata) | extra)


def run_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Returns a container's environment: its own and what finds Python's packages."""
    return {"PYTHONPATH": str(Path(__file__).parents[4]), "PATH": "/usr/bin:/bin", "HOME": "/tmp", **env}


def _stored(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Returns metadata after KFP has stored it: flags are numbers, and lists and mappings stay packed."""
    return {key: _stored_value(value) for key, value in metadata.items()}


def _stored_value(value: Any) -> Any:
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, list | dict):
        return {"list" if isinstance(value, list) else "struct": value}
    return value


class _Run:
    """The spec of a run."""

    def __init__(self, path: Path, parameters: Mapping[str, str]) -> None:
        spec, *platforms = yaml.safe_load_all(path.read_text())
        parsed = json_format.ParseDict(spec, kfp.PipelineSpec())  # fails for unknown fields, as KFP does
        assert parsed.schema_version == "2.1.0"
        self._tasks = parsed.root.dag.tasks
        self._components = parsed.components
        self._executors = kfp.PipelineDeploymentConfig()
        json_format.ParseDict(json_format.MessageToDict(parsed.deployment_spec), self._executors)
        self._volumes = platforms[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"] if platforms else {}
        root = parsed.root.input_definitions.parameters
        assert set(parameters) <= set(root)
        self._parameters = {key: json_format.MessageToDict(value.default_value) for key, value in root.items()}
        self._parameters |= parameters

    def ready(self, finished: Mapping[str, Task]) -> list[str]:
        waiting = [name for name in self._tasks if name not in finished]
        return sorted(name for name in waiting if set(self._tasks[name].dependent_tasks) <= set(finished))

    def is_cached(self, name: str) -> bool:
        return bool(self._tasks[name].caching_options.enable_cache)

    def environment(self, name: str) -> dict[str, str]:
        return {variable.name: variable.value for variable in self._container(name).env}

    def _component(self, name: str) -> kfp.ComponentSpec:
        return self._components[self._tasks[name].component_ref.name]

    def _container(self, name: str) -> Any:
        executor = self._executors.executors[self._component(name).executor_label]
        assert executor.WhichOneof("spec") == "container"
        return executor.container

    def inputs(self, name: str, run_id: str, finished: Mapping[str, Task]) -> kfp.ExecutorInput:
        """Resolves the inputs, of which artifacts arrive without a type."""
        given, task = kfp.ExecutorInput(), self._tasks[name]
        types = self._component(name).input_definitions.parameters
        for key, source in task.inputs.parameters.items():
            kind = source.WhichOneof("kind")
            if kind == "component_input_parameter":
                value = self._parameters[source.component_input_parameter]
            elif kind == "task_output_parameter":
                output = source.task_output_parameter
                value = finished[output.producer_task].parameters[output.output_parameter_key]
            else:
                value = json_format.MessageToDict(source.runtime_value.constant)
            value = run_id if value == "{{$.pipeline_job_uuid}}" else value
            is_text = types[key].parameter_type == kfp.ParameterType.STRING
            assert is_text == isinstance(value, str), f"{name}: {key}: {value}"
            json_format.ParseDict(value, given.inputs.parameter_values[key])
        for key, source in task.inputs.artifacts.items():
            output = source.task_output_artifact
            found = finished[output.producer_task].artifacts[output.output_artifact_key]
            artifact = given.inputs.artifacts[key].artifacts.add(name=found.id, uri=found.uri)
            artifact.type.instance_schema = ""
            artifact.metadata.update(found.metadata)
        return given

    def provision(self, given: kfp.ExecutorInput, name: str, uri: str, local: Path) -> None:
        """Adds the outputs."""
        definitions = self._component(name).output_definitions
        for key, output in definitions.artifacts.items():
            artifact = given.outputs.artifacts[key].artifacts.add(name=key, uri=f"{uri}/{key}")
            artifact.type.CopyFrom(output.artifact_type)
            artifact.metadata.CopyFrom(output.metadata)
            artifact.custom_path = str(local / "files" / "outputs" / key)
            assert output.artifact_type.schema_title in ("system.Artifact", "system.Dataset", "system.Model")
        for key in definitions.parameters:
            given.outputs.parameters[key].output_file = str(local / "parameters" / key)
        given.outputs.output_file = str(local / "files" / "outputs" / "output_metadata.json")
        Path(given.outputs.output_file).parent.mkdir(parents=True)

    def command(self, name: str, given: kfp.ExecutorInput) -> list[str]:
        container, text = self._container(name), json_format.MessageToJson(given, indent=None)
        return [part.replace("{{$}}", text) for part in (*container.command, *container.args)]

    def fingerprint(self, name: str, given: kfp.ExecutorInput) -> str:
        container, label = self._container(name), self._component(name).executor_label
        inputs = json_format.MessageToDict(given.inputs)
        ids = {key: [a["name"] for a in found["artifacts"]] for key, found in inputs.get("artifacts", {}).items()}
        key = {
            "inputArtifactNames": ids,
            "inputParameterValues": inputs.get("parameterValues", {}),
            "outputs": json_format.MessageToDict(self._component(name).output_definitions),
            "containerSpec": [container.image, *container.command, *container.args],
            "pvcNames": self._volumes.get(label, {}).get("pvcMount", []),
        }
        return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
