"""The first component of the pipeline: tables in, windows out."""

from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base import executor_spec
from tfx.v1 import proto

from config import Config, feature_names
from pipeline.ingest.driver import IngestDriver
from pipeline.ingest.executor import IngestExecutor
from pipeline.ingest.settings import custom_config, is_tfx_split, tables


class InteractionExampleGen(FileBasedExampleGen):
    """Reads, cleans, orders, splits and windows the interactions. docs/reference/data-layout.md describes the examples.

    Its output `examples` is one Examples artifact with the splits `train`, `eval`, `test` and `items`, and the file
    `ingest.json` with what was read, dropped and written. Spans, versions, fingerprints and caching are TFX's: a
    changed or new file of any table runs it again.

    Args:
      config: The configuration; `data`, `positive`, `cleaning`, `split`, `features`, `tasks` and the window's lengths
        in `model.history` decide the output.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(IngestExecutor)
    DRIVER_CLASS = IngestDriver

    def __init__(self, config: Config) -> None:
        super().__init__(
            input_base=config.data.folder,
            input_config=_inputs(config),
            output_config=_outputs(),
            custom_config=custom_config(config),
        )


def _inputs(config: Config) -> proto.Input:
    names = [(name, table) for name, table in tables(config) if is_tfx_split(config, name, table)]
    return proto.Input(splits=[proto.Input.Split(name=name, pattern=table.path) for name, table in names])


def _outputs() -> proto.Output:
    """Names the splits; the executor divides by other rules than TFX's hash buckets."""
    names = (*feature_names.WINDOW_SPLITS, feature_names.ITEMS_SPLIT)
    splits = [proto.SplitConfig.Split(name=name, hash_buckets=1) for name in names]
    return proto.Output(split_config=proto.SplitConfig(splits=splits))
