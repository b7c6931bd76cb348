from collections.abc import Sequence

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx import types
from tfx.types import standard_artifacts

from pipeline.validation.reference import BLESSING, CURRENT, REFERENCE, BlessedBeforeCurrent


class Store:
    """A store of ML Metadata in memory, and the artifacts in it."""

    def __init__(self) -> None:
        self.store = MetadataStore(mlmd.ConnectionConfig(fake_database=mlmd.FakeDatabaseConfig()))
        self._run = self.store.put_context_type(mlmd.ContextType(name="pipeline_run"))
        self._pipeline = self.store.put_context_type(mlmd.ContextType(name="pipeline"))
        (self._of_all,) = self.store.put_contexts([mlmd.Context(type_id=self._pipeline, name="shop")])

    def add(self, artifact: types.Artifact, *runs: str) -> types.Artifact:
        """Puts an artifact that these runs made or took from the cache."""
        artifact.type_id = self.store.put_artifact_type(artifact.artifact_type)
        (artifact.id,) = self.store.put_artifacts([artifact.mlmd_artifact])
        for run in runs:
            self.link(artifact, run, mlmd.Event.OUTPUT)
        return artifact

    def link(self, artifact: types.Artifact, run: str, event: "mlmd.Event.Type.ValueType") -> None:
        """Puts an execution of a run, and its event with an artifact."""
        kind = self.store.put_execution_type(mlmd.ExecutionType(name="node"))
        (execution,) = self.store.put_executions([mlmd.Execution(type_id=kind)])
        contexts = [self._of_all, self._context(run)]
        self.store.put_attributions_and_associations(
            [mlmd.Attribution(artifact_id=artifact.id, context_id=context) for context in contexts],
            [mlmd.Association(execution_id=execution, context_id=context) for context in contexts],
        )
        self.store.put_events([mlmd.Event(artifact_id=artifact.id, execution_id=execution, type=event)])

    def _context(self, run: str) -> int:
        known = self.store.get_context_by_type_and_name("pipeline_run", run)
        return known.id if known else self.store.put_contexts([mlmd.Context(type_id=self._run, name=run)])[0]


def blessing(is_blessed: bool) -> standard_artifacts.ModelBlessing:
    artifact = standard_artifacts.ModelBlessing()
    artifact.set_int_custom_property("blessed", int(is_blessed))
    return artifact


@pytest.mark.parametrize(
    ("blessed", "current", "expected"),
    [
        (["first", "second"], 2, [1]),
        (["first"], 2, [0]),  # the newest run whose model was blessed
        (["first", "second", "third"], 2, [1]),  # not the run itself, when all of it comes from the cache
        (["first", "third"], 1, [0]),  # nor anything newer, when the data of an earlier run come back
        (["again"], 2, [0]),  # blessed in a run that took the statistics from the cache
        ([], 2, []),
        (["first"], 0, []),
    ],
)
def test_resolves_the_newest_earlier_statistics_of_a_blessed_run(
    blessed: Sequence[str], current: int, expected: list[int]
) -> None:
    store = Store()
    runs = [("first", "again"), ("second",), ("third",)]
    statistics = [store.add(standard_artifacts.ExampleStatistics(), *made) for made in runs]
    blessings = [store.add(blessing(run in blessed), run) for run in ("first", "again", "second", "third")]
    found = BlessedBeforeCurrent().resolve_artifacts(
        store.store, {CURRENT: [statistics[current]], REFERENCE: statistics, BLESSING: blessings}
    )
    assert found[REFERENCE] == [statistics[number] for number in expected]
    assert found[CURRENT] == [statistics[current]]
    assert bool(found[BLESSING]) == bool(expected)


def test_a_stopped_run_that_resolved_an_earlier_blessing_is_no_reference() -> None:
    store = Store()
    statistics = [store.add(standard_artifacts.ExampleStatistics(), run) for run in ("first", "stopped", "third")]
    first = store.add(blessing(True), "first")
    store.link(first, "stopped", mlmd.Event.INTERNAL_OUTPUT)
    found = BlessedBeforeCurrent().resolve_artifacts(
        store.store, {CURRENT: statistics[2:], REFERENCE: statistics, BLESSING: [first]}
    )
    assert found[REFERENCE] == statistics[:1]
