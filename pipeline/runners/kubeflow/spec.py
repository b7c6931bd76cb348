"""From the PipelineSpec that TFX compiles to one that open-source Kubeflow Pipelines executes."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.data_types import RuntimeParameter

from pipeline.runners.kubeflow.container import TYPES

COMMAND: Final = ("python", "-m", "pipeline.runners.kubeflow.container")
_TYPES_OF_KFP: Final = {
    "tfx.Examples": "system.Dataset",
    "tfx.ExampleStatistics": "system.Dataset",
    "tfx.Model": "system.Model",
    "tfx.PushedModel": "system.Model",
}
_OTHER_TYPE: Final = "system.Artifact"
_INPUTS_SPEC: Final = "--json_serialized_inputs_spec_args"
_SUFFIX: Final = "_task"
"""TFX appends it to the producer of a parameter, but not to the name of that task."""

Spec = dict[str, Any]
"""A PipelineSpec or a part of it, as JSON."""


def for_kfp(spec: Spec, nodes: Iterable[BaseNode]) -> None:
    """Rewrites a spec of schema version 2.1.0, in place.

    Args:
      spec: The PipelineSpec that TFX compiled from components without resolvers.
      nodes: The components.
    """
    for component in spec["components"].values():
        executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
        _retype(component, executor["container"])
    for task in spec["root"]["dag"]["tasks"].values():
        for source in task.get("inputs", {}).get("parameters", {}).values():
            if output := source.get("taskOutputParameter"):
                output["producerTask"] = output["producerTask"].removesuffix(_SUFFIX)
                _depend(task, output["producerTask"])
    _set_defaults(spec, nodes)


def _retype(component: Spec, container: Spec) -> None:
    """Gives a component's artifacts the types of KFP, and passes those of TFX to its container."""
    titles: dict[str, dict[str, str]] = {}
    for kind in ("inputs", "outputs"):
        artifacts: Mapping[str, Spec] = component.get(f"{kind[:-1]}Definitions", {}).get("artifacts", {})
        titles[kind] = {key: _title(artifact) for key, artifact in artifacts.items()}
        for key, artifact in artifacts.items():
            name = _TYPES_OF_KFP.get(titles[kind][key], _OTHER_TYPE)
            artifact["artifactType"] = {"schemaTitle": name, "schemaVersion": "0.0.1"}
    arguments = container["args"]
    place = arguments.index(_INPUTS_SPEC) + 1
    parameters = component.get("inputDefinitions", {}).get("parameters", {})
    arguments[place] = json.dumps({"parameters": parameters}, sort_keys=True)
    container["command"] = list(COMMAND)
    container["args"] = [TYPES, json.dumps(titles, sort_keys=True), *arguments]


def _title(artifact: Spec) -> str:
    schema = yaml.safe_load(artifact["artifactType"]["instanceSchema"])
    return str(schema["title"])


def _depend(task: Spec, producer: str) -> None:
    tasks = task.setdefault("dependentTasks", [])
    if producer not in tasks:
        tasks.append(producer)


def _set_defaults(spec: Spec, nodes: Iterable[BaseNode]) -> None:
    """Sets the defaults of the runtime parameters, which TFX leaves out."""
    parameters = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for node in nodes:
        for value in node.exec_properties.values():
            if isinstance(value, RuntimeParameter):
                parameters[value.name] |= {"defaultValue": value.default, "isOptional": True}
