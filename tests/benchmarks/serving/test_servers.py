"""The servers of the benchmark, and the table that shows them side by side."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.serving import processes
from benchmarks.serving.load import STOCK, Load, Sample, row_of, table


def test_a_binary_that_ends_is_named(tmp_path: Path) -> None:
    ends = pytest.raises(RuntimeError, match=r"'false', '--port=.* ended")
    with (tmp_path / "log").open("w+") as log, ends, processes.stock("false", tmp_path, log):
        pass


def test_every_server_has_rows_of_its_own() -> None:
    embedded = row_of(Load("", "", 1.0, 1), Sample(1.0, [2.0, 1.0, 3.0]), peak_megabytes=1.0)
    console = Console(width=120, file=StringIO())
    with console.capture() as captured:
        console.print(table("model", 0.25, [embedded, replace(embedded, server=STOCK, p50=1.5)]))
    lines = [line.split() for line in captured.get().splitlines()[2:]]
    assert lines == [
        ["1", "callers", "embedded", "3", "0", "3", "2.00", "3.00", "1.75", "1"],
        ["1", "callers", "stock", "3", "0", "3", "1.50", "3.00", "1.25", "1"],
    ]
