from pathlib import Path

import pandas as pd
import pytest

from benchmarks.data import DAY
from benchmarks.warm_start import Trained, compared, write_spans


def test_the_last_days_are_spans_behind_the_first(tmp_path: Path) -> None:
    source, target = tmp_path / "log", tmp_path / "spans"
    source.mkdir()
    end = 100 * DAY
    times = [0, end - 4 * DAY - 1, end - 4 * DAY, end - 2 * DAY - 1, end - 2 * DAY, end - 1]
    pd.DataFrame({"user_id": range(6), "timestamp": times}).to_csv(source / "interactions.csv", index=False)
    for name in ("items.csv", "users.csv"):
        (source / name).write_text("id\n")
    write_spans(source, target, days=4, spans=2)
    users = [pd.read_csv(target / f"span-{n}" / "interactions.csv")["user_id"].tolist() for n in range(3)]
    assert users == [[0, 1], [2, 3], [4, 5]]


def test_warm_trainings_are_compared_by_the_means_over_the_seeds() -> None:
    cold = [Trained(12, 90.0, 0.0, {"test": 0.14}), Trained(12, 110.0, 0.0, {"test": 0.16})]
    warm = [Trained(1, 20.0, 0.0, {"test": 0.13}), Trained(1, 20.0, 0.0, {"test": 0.15})]
    assert compared(cold, warm) == (pytest.approx(-0.01), pytest.approx(0.2))
