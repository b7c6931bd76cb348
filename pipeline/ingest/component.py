"""InteractionExampleGen, the first component of the pipeline, and its driver: tables in, windows out."""

import hashlib
import os
from typing import Any, Final

from google.protobuf import struct_pb2
from tfx.components.example_gen import driver, utils
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base import executor_spec
from tfx.dsl.io import fileio
from tfx.orchestration import data_types
from tfx.types import standard_component_specs as specs
from tfx.utils import proto_utils
from tfx.v1 import proto

from config import Config, dump_config
from config.data import Table
from config.dump import INGEST
from config.fingerprint import code_fingerprint
from pipeline.ingest import driver_files
from pipeline.ingest.executor import SPLITS, IngestExecutor, find_sources, read_config, read_input, tables
from pipeline.ingest.graph import Files
from pipeline.ingest.spans import PLACEHOLDER, SpanPattern
from serving.client.personal import KEY_VARIABLE, hashed, personal_key

_CODE: Final = ("pipeline/ingest", "config")


class IngestDriver(driver.FileBasedDriver):
    """Finds the newest span of every table and a fingerprint of all files, which together make the cache key.

    Span and version of the Examples artifact are those of the interactions. On Vertex AI TFX has its own driver for
    all file-based ExampleGens, which knows the input splits only: there a table with a span, or beside interactions
    with a span, is resolved by the executor, and a change of it alone is noticed at the next span of the interactions.
    """

    def resolve_exec_properties(
        self,
        exec_properties: dict[str, Any],
        pipeline_info: data_types.PipelineInfo,
        component_info: data_types.ComponentInfo,
    ) -> dict[str, Any]:
        """Overrides TFX's. Raises ValueError where no file of a table matches."""
        driver_files.register()
        resolved = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        config, inputs, folder = read_config(resolved), read_input(resolved), resolved[specs.INPUT_BASE_KEY]
        sources = find_sources(config, resolved)
        fingerprints = [resolved[utils.FINGERPRINT_PROPERTY_NAME]]
        for name, table in tables(config):
            if not _is_tfx_split(config, name, table):
                split = proto.Input.Split(name=name, pattern=table.path)
                spans = sources[name].spans
                last = spans.read[-1] if spans is not None and spans.read else None
                # Fills the span into the split's pattern.
                fingerprint, _, _ = utils.calculate_splits_fingerprint_span_and_version(folder, [split], _range(last))
                fingerprints.append(str(fingerprint))
                inputs.splits.append(split)
        resolved[specs.INPUT_CONFIG_KEY] = proto_utils.proto_to_json(inputs)
        fingerprints.append(_fingerprint({name: source.files for name, source in sources.items()}))
        resolved[utils.FINGERPRINT_PROPERTY_NAME] = "\n".join(fingerprints)
        return resolved


class InteractionExampleGen(FileBasedExampleGen):
    """Reads, cleans, orders, splits and windows the interactions. docs/reference/data-layout.md describes the examples.

    Its output `examples` is one Examples artifact with the splits `train`, `eval`, `test` and `items`, and the file
    `ingest.json`, which counts the rows read, dropped and written. Spans, versions, fingerprints and caching are TFX's:
    a changed or new file of any table runs it again.

    Args:
      config: The configuration; `data`, `positive`, `cleaning`, `split`, `features`, `tasks` and the window's lengths
        in `model.history` decide the output.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(IngestExecutor)
    DRIVER_CLASS = IngestDriver

    def __init__(self, config: Config) -> None:
        inputs = [(name, table) for name, table in tables(config) if _is_tfx_split(config, name, table)]
        # The output names the splits; the executor divides by other rules than TFX's hash buckets.
        outputs = [proto.SplitConfig.Split(name=name, hash_buckets=1) for name in SPLITS]
        span, form = config.data.span, SpanPattern(config.data.interactions.path)
        super().__init__(
            input_base=config.data.folder,
            range_config=_range(None if span is None else form.number_of(span)),
            input_config=proto.Input(splits=[proto.Input.Split(name=name, pattern=t.path) for name, t in inputs]),
            output_config=proto.Output(split_config=proto.SplitConfig(splits=outputs)),
            custom_config=_custom_config(config),
        )


def _custom_config(config: Config) -> proto.CustomConfig:
    """Returns the keys that ingest reads and a digest of its code: what enters the cache key beside the data."""
    values = struct_pb2.Struct()
    values.update({"config": dump_config(config, *INGEST), "code": code_fingerprint(*_CODE)})
    if config.data.span is not None:
        values.update({"span": str(config.data.span)})
    if any(table.personal for _, table in tables(config)) and KEY_VARIABLE in os.environ:
        # Another key is other ids. The digest is a hash as those in the examples, which does not tell the key.
        values.update({"personal_key": hashed(KEY_VARIABLE, personal_key())})
    packed = proto.CustomConfig()
    packed.custom_config.Pack(values)
    return packed


def _is_tfx_split(config: Config, name: str, table: Table) -> bool:
    """Returns whether a table is an input split of TFX's: the interactions, and others where no path has a span.

    TFX wants one span for all input splits. Here every table has its own, so that a catalogue of last week goes with
    the interactions of today.
    """
    has_span = PLACEHOLDER.search(config.data.interactions.path) or PLACEHOLDER.search(table.path)
    return name == "interactions" or not has_span


def _range(span: int | None) -> proto.RangeConfig | None:
    """Returns TFX's form of one span; None for the newest."""
    if span is None:
        return None
    return proto.RangeConfig(static_range=proto.StaticRange(start_span_number=span, end_span_number=span))


def _fingerprint(files: Files) -> str:
    """Returns a fingerprint of the files that are read, since TFX's patterns match neither those in folders nor those
    of a window's other spans."""
    digest = hashlib.sha256()
    for name, paths in files.items():
        for path in paths:
            found = fileio.stat(path)
            digest.update(f"{name} {path} {found.length} {found.mtime_nsec}\n".encode())
    return f"files:{digest.hexdigest()}"
