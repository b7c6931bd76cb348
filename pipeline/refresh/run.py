"""A refresh from the table to the pushed version."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from config import Config, paths
from pipeline.infra.checks import read_probes
from pipeline.infra.validation import Verdict, validate
from pipeline.lineage import read_history
from pipeline.metadata import connection, open_store, readable_store
from pipeline.push.versions import push_version
from pipeline.push.withdraw import version_numbers
from pipeline.refresh.gate import change_faults, model_faults
from pipeline.refresh.items import ItemRows, write_items
from pipeline.refresh.record import record_refresh
from pipeline.refresh.source import SourceError, find_source
from trainer.export.prediction_log import read_prediction_log
from trainer.refresh import Refresh, Refreshed


class NotBlessedError(Exception):
    """The gate refused the refreshed model. The message says why."""


@dataclass(frozen=True)
class Outcome:
    """A pushed refresh.

    Attributes:
      source: The version whose catalogue was replaced.
      version: The new one.
      path: Its folder.
      rows: Of the table.
      refreshed: The model.
      infra: What the server's answers came to.
    """

    source: int
    version: int
    path: str
    rows: ItemRows
    refreshed: Refreshed
    infra: Verdict


def run_refresh(config: Config, table: Path, max_withdrawn: float, say: Callable[[str], object]) -> Outcome:
    """Replaces the catalogue of the served model by a table's items and pushes the result.

    Args:
      config: The configuration.
      table: The new items table.
      max_withdrawn: The largest share of the items that may be withdrawn.
      say: Called with what is done next.

    Raises:
      SourceError: There is no model to refresh.
      UnsupportedRefreshError: The model's catalogue cannot be replaced.
      TableError: The table cannot be used.
      NotBlessedError: The gate refused.
    """
    store = readable_store(config)
    if store is None:
        raise SourceError("no run of this pipeline has finished yet: `tfx_runner.py run` makes a model")
    source = find_source(store, read_history(store, config.name), version_numbers(paths.serving(config)), config)
    home = Path(paths.home(config))
    with tempfile.TemporaryDirectory(prefix="refresh-", dir=home) as temporary:
        folder = Path(temporary)
        items, model, responses = folder / "items.gz", folder / "model", folder / "golden_responses"
        say(f"reading {table}")
        rows = write_items(config, table, items)
        say(f"replacing the catalogue of version {source.version}")
        refresh = Refresh(source.model, str(items), temporary)
        _bless(*change_faults(refresh.changes, max_withdrawn))
        refreshed = refresh.export(str(model), str(responses))
        _bless(*model_faults(refreshed, source.model.config))
        say("validating the model with a server")
        serving = config.serving
        probes = read_probes(
            source.model.raw_eval_files, serving.infra.requests, serving.default_k, serving.exclude_history
        )
        verdict = validate(
            config, str(model), probes, read_prediction_log(str(responses)), refreshed.index.kind != "exact"
        )
        _bless(*([verdict.reason] if verdict.reason else []))
        version, path = push_version(str(model), paths.serving(config))
    store = open_store(connection(home, config.pipeline.metadata))
    record_refresh(store, config.name, source.artifact, version, path, source.version, str(table))
    return Outcome(source.version, version, path, rows, refreshed, verdict)


def _bless(*faults: str) -> None:
    if faults:
        raise NotBlessedError("\n".join(faults))
