"""Statistics of small splits, each made once."""

from pathlib import Path

import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.components.statistics_gen.executor import DEFAULT_FILE_NAME
from tfx.types import artifact_utils, standard_artifacts

Row = dict[str, list]
Statistics = statistics_pb2.DatasetFeatureStatisticsList

TRAIN: list[Row] = [
    {
        "user_id": [f"u{n}"],
        "user_age": [20.0 + n],
        "user_gender": ["F" if n % 2 else "M"],
        "item_id": [f"i{n}", "i1"][: 1 + n % 2],
        "is_positive": [1, 1][: 1 + n % 2],
        "is_target": [1, 1][: 1 + n % 2],
        "context_device": ["tv", "pc"][: 1 + n % 2],
        "session_page": ["s1", "s2"][: 1 + n % 2],
    }
    for n in range(10)
] + [{"user_id": ["u99"], "user_zip": ["94043"], "item_id": ["i1"], "is_positive": [1], "is_target": [1]}]

EVAL: list[Row] = [
    {
        **row,
        "context_device": ["phone"],
        "seen_item_id": ["i1", "i2"],
        "is_cold_user": [0],
        "target_count": [1],
        "split": ["eval"],
    }
    for row in TRAIN[:5]
]

ITEMS: list[Row] = [
    {"catalogue_id": ["i1"], "item_year": [1990.0], "item_genres": ["war", "drama"]},
    {"catalogue_id": ["i2"], "item_genres": ["drama"]},
    {"catalogue_id": ["i3"]},
]


def statistics_of(rows: list[Row]) -> Statistics:
    """The statistics that StatisticsGen would write, without Beam."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: pa.array([row.get(name) for row in rows]) for name in names}
    return stats_impl.generate_statistics_in_memory(pa.RecordBatch.from_pydict(columns), tfdv.StatsOptions())


@pytest.fixture(scope="session")
def clean() -> dict[str, Statistics]:
    """The statistics of four splits as ingest writes them."""
    by_split = {"train": statistics_of(TRAIN), "eval": statistics_of(EVAL), "items": statistics_of(ITEMS)}
    return {**by_split, "test": by_split["eval"]}


def statistics_artifact(folder: Path, by_split: dict[str, Statistics]) -> standard_artifacts.ExampleStatistics:
    """The artifact that StatisticsGen writes."""
    artifact = standard_artifacts.ExampleStatistics()
    artifact.uri = str(folder)
    artifact.split_names = artifact_utils.encode_split_names(list(by_split))
    for split, statistics in by_split.items():
        path = folder / f"Split-{split}" / DEFAULT_FILE_NAME
        path.parent.mkdir(parents=True)
        path.write_bytes(statistics.SerializeToString())
    return artifact
