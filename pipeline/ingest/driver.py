"""TFX's driver for files, with a span of its own for each table."""

import hashlib
from typing import Any

from tfx.components.example_gen import driver, utils
from tfx.dsl.io import fileio
from tfx.orchestration import data_types
from tfx.types import standard_component_specs as specs
from tfx.utils import proto_utils
from tfx.v1 import proto

from config import Config
from pipeline.ingest.settings import is_tfx_split, read_config, read_input, tables
from pipeline.ingest.tables import table_files


class IngestDriver(driver.FileBasedDriver):
    """Finds the newest span of every table and a fingerprint of all files, which together make the cache key.

    Span and version of the Examples artifact are those of the interactions. The Kubeflow runner has its own driver for
    all file-based ExampleGens, which looks at the input splits only: there a table with a span, or beside interactions
    with a span, is resolved by the executor and a change of it alone is seen at the next span of the interactions.
    """

    def resolve_exec_properties(
        self,
        exec_properties: dict[str, Any],
        pipeline_info: data_types.PipelineInfo,
        component_info: data_types.ComponentInfo,
    ) -> dict[str, Any]:
        """Overrides TFX's. Raises ValueError where no file of a table matches."""
        resolved = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        config, inputs = read_config(resolved), read_input(resolved)
        fingerprints = [resolved[utils.FINGERPRINT_PROPERTY_NAME]]
        for name, table in tables(config):
            if not is_tfx_split(config, name, table):
                split = proto.Input.Split(name=name, pattern=table.path)
                fingerprints.append(_resolve(resolved[specs.INPUT_BASE_KEY], split))
                inputs.splits.append(split)
        fingerprints.append(_fingerprint(config, inputs, resolved[specs.INPUT_BASE_KEY]))
        resolved[specs.INPUT_CONFIG_KEY] = proto_utils.proto_to_json(inputs)
        resolved[utils.FINGERPRINT_PROPERTY_NAME] = "\n".join(fingerprints)
        return resolved


def _fingerprint(config: Config, inputs: proto.Input, folder: str) -> str:
    """Of the files that are read: TFX's patterns do not see those in folders."""
    patterns = {split.name: split.pattern for split in inputs.splits}
    digest = hashlib.sha256()
    for name, table in tables(config):
        for path in table_files(folder, table.model_copy(update={"path": patterns[name]})):
            found = fileio.stat(path)
            digest.update(f"{name} {path} {found.length} {found.mtime_nsec}\n".encode())
    return f"files:{digest.hexdigest()}"


def _resolve(folder: str, split: proto.Input.Split) -> str:
    """Fills the newest span into the split's pattern and returns the fingerprint of its files."""
    fingerprint, _, _ = utils.calculate_splits_fingerprint_span_and_version(folder, [split])
    return str(fingerprint)
