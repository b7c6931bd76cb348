"""A pipeline's nodes, ready to be launched one after the other in this process. Importing it imports TFX."""

from dataclasses import dataclass
from typing import Any

from absl import logging
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils
from tfx.orchestration.portable.mlmd import execution_lib

from pipeline.runners.display import State

_EXECUTION: Any = metadata_store_pb2.Execution  # type: ignore[attr-defined]
_STATES: dict[int, State] = {_EXECUTION.COMPLETE: "done", _EXECUTION.CACHED: "cached"}


@dataclass
class Node:
    """A component or a resolver."""

    name: str
    is_shown: bool
    """Components are; resolvers and importers only when they fail."""
    _launcher: launcher.Launcher
    _connection: Any

    def launch(self) -> tuple[State, dict[str, list[Any]]]:
        """Runs driver, executor and publisher.

        Returns:
          How it ended and its output artifacts (the cached ones where it came from the cache).

        Raises:
          Exception: whatever the component raised.
        """
        logging.info("Component %s is running.", self.name)
        info = self._launcher.launch()
        if info is None or not info.execution_id:
            return "skipped", {}
        with metadata.Metadata(self._connection) as store:
            (execution,) = store.store.get_executions_by_id([info.execution_id])
            state = _STATES.get(execution.last_known_state)
            if state is None:
                raise RuntimeError(_failure(execution))
            return state, dict(execution_lib.get_output_artifacts(store, info.execution_id))


def compile_nodes(pipeline: tfx.dsl.Pipeline, database: Any, run_id: str) -> list[Node]:
    """Compiles the pipeline to nodes in topological order.

    Args:
      pipeline: The pipeline; its metadata go to `database`.
      database: The `ConnectionConfig` of ML Metadata; the folder of a SQLite file exists.
      run_id: The run's name in the metadata.
    """
    logging.set_verbosity(logging.INFO)
    pipeline.metadata_connection_config = database
    plan = compiler.Compiler().compile(pipeline)
    runtime_parameter_utils.substitute_runtime_parameter(plan, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
    deployment = runner_utils.extract_local_deployment_config(plan)
    connection = getattr(
        deployment.metadata_connection_config, deployment.metadata_connection_config.WhichOneof("connection_config")
    )
    return [_node(node.pipeline_node, plan, deployment, connection) for node in plan.nodes]


def _node(node: Any, plan: Any, deployment: Any, connection: Any) -> Node:
    name = node.node_info.id
    executor = runner_utils.extract_executor_spec(deployment, name)
    made = launcher.Launcher(
        pipeline_node=node,
        mlmd_connection=metadata.Metadata(connection),
        pipeline_info=plan.pipeline_info,
        pipeline_runtime_spec=plan.runtime_spec,
        executor_spec=executor,
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
    )
    return Node(name, executor is not None, made, connection)


def _failure(execution: Any) -> str:
    """Returns why a node that raised nothing did not complete: its inputs could not be found."""
    result = execution.custom_properties.get("__execution_result__")
    state = _EXECUTION.State.Name(execution.last_known_state)
    return result.string_value if result is not None else f"the execution ended as {state}"
