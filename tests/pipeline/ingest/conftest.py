from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts

from config import Config, load_config
from pipeline.ingest.component import IngestDriver, InteractionExampleGen
from pipeline.ingest.executor import IngestExecutor
from tests.pipeline.ingest.reference import decode
from tests.synthetic import write_config, write_tables


@dataclass(frozen=True)
class Ingested:
    """What a run of driver and executor left."""

    artifact: standard_artifacts.Examples
    properties: dict[str, Any]

    @property
    def folder(self) -> Path:
        return Path(self.artifact.uri)

    def examples(self, split: str) -> list[dict[str, list[Any]]]:
        return read_examples(self.folder, split)


def read_examples(folder: Path, split: str) -> list[dict[str, list[Any]]]:
    """The decoded examples of a split in the order of the files."""
    files = sorted(str(path) for path in (folder / f"Split-{split}").glob("data_tfrecord-*.gz"))
    return [decode(record) for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()]


def resolve(config: Config) -> dict[str, Any]:
    """The execution properties as the component declares them and the driver completes them."""
    properties = dict(InteractionExampleGen(config).spec.exec_properties)
    return IngestDriver(None).resolve_exec_properties(properties, None, None)


def run_ingest(config: Config, folder: Path) -> Ingested:
    """Runs the driver's resolution and the executor as TFX does, without MLMD."""
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder)
    properties = resolve(config)
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=config.pipeline.beam.arguments, tmp_dir=str(folder / "tmp"), unique_id="1"
    )
    IngestExecutor(context).Do({}, {"examples": [artifact]}, properties)
    return Ingested(artifact, properties)


@pytest.fixture(scope="session")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    write_tables(folder, users=60, items=40, events=800)
    return folder


@pytest.fixture(scope="session")
def ingested(tables, tmp_path_factory):
    """A run on the synthetic tables with their own configuration."""
    return run_ingest(load_config(write_config(tables)), tmp_path_factory.mktemp("ingested"))
