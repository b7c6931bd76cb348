"""Forgetting a user: where a pipeline's files hold one, and what to remove.

A user's windows are in the examples of ingest. All that was made from these examples, by the lineage in ML Metadata,
may hold something of the user: statistics, vocabularies, transformed examples, models, evaluations. So whole artifacts
are removed, and the next run makes them again from tables without the user.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from config import Config, feature_names, paths
from pipeline.ingest.component import InteractionExampleGen
from pipeline.ingest.personal import key_of
from pipeline.lineage import Lineage, Pushed, read_history
from pipeline.metadata import pipeline_artifacts
from pipeline.retention import Plan, is_left
from serving.client.personal import hashed

_TEXTS: Final = ("logs/*", "reports/*/*", "*.html", "*.json", "*.prom")


@dataclass(frozen=True)
class Traces:
    """Where a pipeline's files hold a user.

    Attributes:
      windows: The number of the user's windows by folder of examples.
      artifacts: Of ML Metadata: all that was made from the examples, then these, so that a removal that is killed is
        found again by them.
      texts: Logs and reports that name the user.
      checkpoints: The folders of trainings that did not end.
      versions: Pushed versions of models that were trained on the user's events, oldest first.
    """

    windows: dict[str, int]
    artifacts: list[Any]
    texts: list[Path]
    checkpoints: list[Path]
    versions: list[Pushed]

    def plan(self) -> Plan:
        """Returns what `pipeline.retention.remove` removes: all but the pushed versions."""
        return Plan(self.artifacts, executions=[], versions=[], logs=self.texts, checkpoints=self.checkpoints)


def names_of(config: Config, user: str) -> list[str]:
    """Returns the ids that files may know a user by: the tables' own, and its hash where the column is personal.

    Raises:
      TableError: There is no key in the environment.
    """
    log = config.data.interactions
    return [user, hashed(user, key_of(log))] if log.user in log.personal else [user]


def find_traces(config: Config, names: list[str], store: Any) -> Traces:
    """Finds a user in the files of a pipeline with a local root; call it while no run is under way.

    Args:
      config: The configuration.
      names: Of `names_of`.
      store: The `ml_metadata.MetadataStore`.
    """
    artifacts, lineage = pipeline_artifacts(store, config.name), Lineage(store)
    root = paths.artifacts(config)
    left = [a for a in artifacts if a.uri.startswith(f"{root}/") and is_left(a, root)]
    ingested = [a for a in left if a.uri.startswith(f"{root}/{InteractionExampleGen.__name__}/")]
    counts = {a.id: (a.uri, _windows_of(a.uri, names)) for a in ingested}
    held = {number: found for number, found in counts.items() if found[1]}
    made = {artifact.id for artifact in lineage.made_from(held, artifacts)}
    examples = {uri for uri, _ in held.values()}
    checkpoints = Path(paths.checkpoints(config))
    return Traces(
        windows=dict(held.values()),
        artifacts=[a for a in reversed(left) if a.id in made],
        texts=sorted(_naming(Path(paths.home(config)), names)),
        checkpoints=sorted(checkpoints.iterdir()) if held and checkpoints.is_dir() else [],
        versions=[pushed for pushed in read_history(store, config.name) if pushed.examples in examples],
    )


def _windows_of(uri: str, names: list[str]) -> int:
    """Returns the number of windows of a user in a folder of examples."""
    import tensorflow as tf

    files = [str(path) for split in feature_names.WINDOW_SPLITS for path in Path(uri).glob(f"Split-{split}/*.gz")]
    wanted, count = [name.encode() for name in names], 0
    for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
        if any(name in record for name in wanted):  # parsing all would take many times as long
            values = tf.train.Example.FromString(record).features.feature[feature_names.USER_ID].bytes_list.value
            count += any(value in wanted for value in values)
    return count


def _naming(home: Path, names: list[str]) -> Iterator[Path]:
    """Yields the logs and reports that hold an id as a word; one of digits, which could be any number, in quotes."""
    quote = r"""(?:['"]|&#3[49];)"""
    forms = [
        rf"{quote}{re.escape(name)}{quote}" if name.isdigit() else rf"(?<![\w-]){re.escape(name)}(?![\w-])"
        for name in names
    ]
    pattern = re.compile("|".join(forms))
    for path in {path for glob in _TEXTS for path in home.glob(glob) if path.is_file()}:
        if pattern.search(path.read_text(encoding="utf-8", errors="replace")):
            yield path
