import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from config import parse_config
from pipeline.checks.rows import check_rows
from pipeline.checks.table_sizes import estimated_rows
from pipeline.ingest.splits import hash_text

START, DAY = 1_600_000_000, 86_400
ROWS = [(f"u{n % 40}", f"i{n % 30}", START + n * DAY // 10, n % 5) for n in range(400)]


@pytest.fixture
def sizes(tmp_path):
    """Writes tables and returns the sizes that `check` finds."""

    def find(rows=ROWS, items=(), limit=None, yaml="", **sections):
        lines = [",".join(map(str, row)) for row in rows]
        (tmp_path / "log.csv").write_text("\n".join(["user,item,time,rating", *lines]) + "\n")
        data = {
            "folder": str(tmp_path),
            "interactions": {"path": "log.csv", **{"user": "user", "item": "item", "time": "time"}},
        }
        if items:
            (tmp_path / "items.csv").write_text("\n".join(["id,tags,title", *items]) + "\n")
            data["items"] = {"path": "items.csv", "id": "id"}
        config = parse_config(str({"name": "shop", "data": data, "cleaning": {"duplicates": "keep"}, **sections}))
        return check_rows(config, limit)

    return find


def test_users_and_items_are_those_with_enough_train_events(sizes):
    rows = [*ROWS, ("once", "rare", START, 1), ("twice", "i1", START, 1), ("twice", "i2", START + 1, 1)]
    found = sizes(rows).sizes
    assert (found.users, found.items) == (42, 31)
    # Each of 40 users has ten events, of which two evaluate and test; of two events the second tests.
    counts = {"model": {"user_min_count": 2}, "features": {"item_id": {"min_count": 2}}}
    assert (sizes(rows, **counts).sizes.users, sizes(rows, **counts).sizes.items) == (40, 30)
    assert sizes(rows, model={"user_min_count": 9}).sizes.users == 0


def test_the_split_decides_who_is_in_train(sizes):
    late = [("late", "i1", START + 41 * DAY, 1)]
    by_time = {"split": {"method": "global_time"}}
    assert sizes([*ROWS, *late], **by_time).sizes.users == 40
    found = sizes([(f"u{n}", "i", START, 1) for n in range(1000)], split={"method": "user_hash"}).sizes
    assert 750 < found.users < 850
    assert len(np.unique(hash_text(np.array([f"u{n}" for n in range(1000)], object)))) == 1000


def test_items_of_the_table_and_their_longest_lists(sizes):
    features = {
        "item": [
            {"name": "tags", "kind": "multi_valued", "min_count": 2},
            {"name": "title", "kind": "text", "max_tokens": 3},
        ],
        "outcome": [{"name": "rating", "kind": "categorical"}],
    }
    items = [f"i{n},x|y|only{n},One title of five words" for n in range(50)]
    found = sizes(items=items, features=features)
    assert found.is_exact
    assert found.sizes.items == 50
    assert found.sizes.vocabularies == {"item_tags": 2, "item_title": 3, "outcome_rating": 5}
    assert (found.sizes.longest["item_tags"], found.sizes.longest["item_title"]) == (3, 3)
    unseen = sizes(items=items, features=features, cleaning={"unseen_items": "drop"})
    assert unseen.sizes.items == 30


def test_first_rows_are_extrapolated_and_do_not_refuse(sizes):
    limit = {"training": {"memory_limit": "20kB"}}
    rows = [(f"u{n}", f"i{n % 7}", START + n, 1) for n in range(4000)]
    found = sizes(rows, limit=1000, **limit)
    assert not found.is_exact
    assert found.sizes.users == pytest.approx(4000, rel=0.05)
    assert not found.errors
    assert any("`training.memory_limit`: by an estimate, the tables" in text for text in found.warnings)
    whole = sizes(rows, **limit)
    assert [text[:50] for text in whole.errors] == ["`training.memory_limit`: the tables of the model n"]


def test_rows_of_files_are_estimated(tmp_path):
    lines = "".join(f"{n:06},text\n" for n in range(200_000))
    (tmp_path / "a.csv").write_text(lines)
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write(lines)
    pq.write_table(pa.table({"a": range(321)}), tmp_path / "a.parquet")
    assert estimated_rows(str(tmp_path / "a.csv")) == pytest.approx(200_000, rel=0.01)
    assert estimated_rows(str(tmp_path / "a.csv.gz")) == pytest.approx(200_000, rel=0.3)
    assert estimated_rows(str(tmp_path / "a.parquet")) == 321
    assert estimated_rows(str(tmp_path / "none.csv")) is None
