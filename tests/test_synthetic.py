import csv
import hashlib
from collections import Counter

import numpy as np

from config import load_config
from tests.synthetic import DIRTY_ROWS, UNTOUCHED_ITEMS, make_events, write_config, write_tables


def _digest(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*.csv"))}


def _rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_same_seed_same_tables(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_tables(tmp_path / name, seed=seed)
    assert _digest(tmp_path / "a") == _digest(tmp_path / "b")
    assert _digest(tmp_path / "a")["interactions.csv"] != _digest(tmp_path / "c")["interactions.csv"]


def test_tables_hold_what_the_docstring_says(tmp_path):
    write_tables(tmp_path, users=40, items=60, events=500)
    interactions, items, users = (_rows(tmp_path / f"{n}.csv") for n in ("interactions", "items", "users"))
    assert len(interactions) == 500 + sum(DIRTY_ROWS.values())
    assert len(items) == 60
    assert len(users) == 36
    seen = {row["item_id"] for row in interactions}
    assert not seen & {f"i{n}" for n in range(60 - UNTOUCHED_ITEMS, 60)}
    assert sum(row["user_id"] == "u39" for row in interactions) == 1
    assert any(not row["genres"] for row in items)


def test_the_last_item_tells_the_next_one():
    log = make_events(150, 100, 4000, np.random.default_rng(0))
    last, hits, pairs = {}, 0, 0
    for event in log:
        if event.user in last:
            hits += event.item == last[event.user] + 5
            pairs += 1
        last[event.user] = event.item
    most_popular = max(Counter(event.item for event in log).values())
    assert hits / pairs > 0.5
    assert most_popular / len(log) < 0.05


def test_config_is_valid_and_merges_deeply(tmp_path):
    config = load_config(write_config(tmp_path, split={"method": "random"}, tasks={"rating": {"weight": 0.5}}))
    assert config.split.method == "random"
    assert config.split.history == "rolling"
    assert config.tasks["rating"].weight == 0.5
    assert config.tasks["rating"].label == "rating"
