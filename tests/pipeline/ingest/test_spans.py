import csv
import json
import re
from datetime import date, timedelta
from pathlib import Path

import pytest

from config import ConfigError, load_config
from config.data import EntityTable, InteractionTable
from pipeline.ingest.spans import SpanError, SpanPattern, find_spans, listed
from pipeline.ingest.tables import TableError, table_files, table_spans
from tests.pipeline.ingest.conftest import resolve, run_ingest
from tests.synthetic import write_config, write_tables

DAY = 86_400


@pytest.mark.parametrize(
    ("pattern", "path", "numbers"),
    [
        ("day-{SPAN}/*.csv", "day-7/a.csv", (7, 0)),
        ("day-{SPAN}/*.csv", "day-x/a.csv", None),
        ("{SPAN:2}/v{VERSION}.csv", "07/v12.csv", (7, 12)),
        ("{SPAN:2}/v{VERSION}.csv", "107/v12.csv", None),
        ("{YYYY}/{MM}/{DD}.csv", "1970/02/01.csv", (31, 0)),
        ("{YYYY}-{MM}-{DD}.csv", "2026-02-30.csv", None),
        ("log-v{VERSION}.csv", "log-v3.csv", (0, 3)),
        ("{SPAN}/log-{SPAN}.csv", "3/log-3.csv", (3, 0)),
        ("{SPAN}/log-{SPAN}.csv", "3/log-4.csv", None),
    ],
)
def test_numbers_in_a_path(pattern: str, path: str, numbers: tuple[int, int] | None) -> None:
    assert SpanPattern(pattern).numbers(path) == numbers


def test_a_window_holds_the_newest_version_of_each_span_and_names_the_others() -> None:
    paths = [f"data/d{span}/v{version}.csv" for span, version in [(5, 1), (7, 1), (8, 1), (8, 10), (8, 9), (10, 1)]]
    found = find_spans("data", "d{SPAN}/v{VERSION}.csv", paths, window=4)
    assert found.paths == ["data/d7/v1.csv", "data/d8/v10.csv", "data/d10/v1.csv"]
    assert found.as_json() == {"first": "7", "last": "10", "missing": ["9"], "older": ["5"], "reach": 6}
    alone = find_spans("data", "d{SPAN}/v{VERSION}.csv", paths, last=8)
    assert (alone.paths, alone.as_json()["older"]) == (["data/d8/v10.csv"], ["5", "7"])


def test_days_count_over_the_end_of_a_month() -> None:
    days = [date(2026, 2, 26) + timedelta(n) for n in range(5)]
    paths = [f"{day:%Y/%m/%d}.csv" for day in days]
    found = find_spans("", "{YYYY}/{MM}/{DD}.csv", paths, last=date(2026, 3, 1), window=3)
    assert found.paths == ["2026/02/27.csv", "2026/02/28.csv", "2026/03/01.csv"]
    assert (found.as_json()["first"], found.last) == ("2026-02-27", date(2026, 3, 1))


def test_a_span_that_is_not_there_or_of_the_other_kind_is_an_error() -> None:
    with pytest.raises(SpanError, match=r"there is no span 4\. Found: 1, 2, 3$"):
        find_spans("", "{SPAN}.csv", ["1.csv", "2.csv", "3.csv"], last=4)
    with pytest.raises(SpanError, match=r"should be a number, as the path is '\{SPAN\}.csv'. Received: 2026-01-01"):
        find_spans("", "{SPAN}.csv", ["1.csv"], last=date(2026, 1, 1))
    with pytest.raises(SpanError, match="should be a date such as 2026-05-31"):
        find_spans("", "{YYYY}{MM}{DD}.csv", ["20260101.csv"], last=20260101)
    assert listed([str(n) for n in range(40)]) == "0, 1, 2, ... (36 more), 39"


def test_other_tables_are_of_the_newest_span_up_to_the_logs(tmp_path: Path) -> None:
    for name in ("log-3", "items-1", "items-3", "items-4", "prices-20260101"):
        (tmp_path / f"{name}.csv").write_text("id\n1\n")
    folder = str(tmp_path)

    def items(path: str, span: int) -> list[str]:
        return [Path(file).name for file in table_files(folder, EntityTable(path=path, id="id"), span)]

    assert items("items-{SPAN}.csv", 2) == ["items-1.csv"]
    assert items("items-{SPAN}.csv", 3) == ["items-3.csv"]
    assert items("prices-{YYYY}{MM}{DD}.csv", 3) == ["prices-20260101.csv"]  # numbered otherwise
    with pytest.raises(TableError, match=r"items-\{SPAN\}.csv: there is no span 0. Found: 1, 3, 4"):
        items("items-{SPAN}.csv", 0)
    assert table_spans(folder, InteractionTable(path="log-3.csv")) is None


def _daily(folder: Path, days: int) -> None:
    """Divides the log by days, `span-1/` to `span-<days>/`: the rows of each in their order."""
    write_tables(folder, users=40, items=30, events=600)
    with (folder / "interactions.csv").open() as file:
        header, *rows = list(csv.reader(file))
    for number in range(days):
        path = folder / f"span-{number + 1}" / "interactions.csv"
        path.parent.mkdir()
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows[number * len(rows) // days : (number + 1) * len(rows) // days]])


def test_the_examples_of_a_window_are_those_of_one_file_with_its_rows(tmp_path: Path) -> None:
    _daily(tmp_path, 5)
    window = {"interactions": {"path": "span-{SPAN}/interactions.csv", "window": 3}, "span": 4}
    spans = run_ingest(load_config(write_config(tmp_path, data=window)), tmp_path / "spans")
    texts = [(tmp_path / f"span-{n}" / "interactions.csv").read_text() for n in (2, 3, 4)]
    head, _ = texts[0].split("\n", 1)
    (tmp_path / "all.csv").write_text(head + "\n" + "".join(text.split("\n", 1)[1] for text in texts))
    whole = run_ingest(
        load_config(write_config(tmp_path, data={"interactions": {"path": "all.csv"}})), tmp_path / "one"
    )
    for split in ("train", "eval", "test", "items"):
        assert spans.examples(split) == whole.examples(split)
    assert spans.properties["span"] == 4
    report = json.loads((spans.folder / "ingest.json").read_text())
    expected = {"first": "2", "last": "4", "missing": [], "older": ["1"], "reach": 4}
    assert report["read_spans"] == {"interactions": expected}
    assert report["warnings"] == json.loads((whole.folder / "ingest.json").read_text())["warnings"]


def test_any_span_of_the_window_and_no_other_changes_the_fingerprint(tmp_path: Path) -> None:
    _daily(tmp_path, 4)
    data = {"interactions": {"path": "span-{SPAN}/interactions.csv", "window": 2}}
    config = load_config(write_config(tmp_path, data=data))
    before = resolve(config)["input_fingerprint"]
    (tmp_path / "span-2" / "more.csv").write_text("another file\n")
    (tmp_path / "span-2" / "interactions.csv").write_text("changed\n")
    assert resolve(config)["input_fingerprint"] == before
    with (tmp_path / "span-3" / "interactions.csv").open("a") as file:
        file.write("u1,i1,1700000000,5,tv\n")
    assert resolve(config)["input_fingerprint"] != before


def test_a_log_without_a_window_warns_of_the_spans_that_are_left_out(tmp_path: Path) -> None:
    _daily(tmp_path, 3)
    data = {"interactions": {"path": "span-{SPAN}/interactions.csv"}}
    report = json.loads(
        (
            run_ingest(load_config(write_config(tmp_path, data=data)), tmp_path / "run").folder / "ingest.json"
        ).read_text()
    )
    warning = next(text for text in report["warnings"] if "span" in text)
    assert warning.startswith("span-{SPAN}/interactions.csv: span 3 alone is read. Older ones are not: 1, 2. ")
    assert "`data.interactions.window: 3` reads them too" in warning
    one = {"interactions": {"path": "span-{SPAN}/interactions.csv", "window": 1}}
    config = load_config(write_config(tmp_path, data=one))
    spans = table_spans(config.data.folder, config.data.interactions)
    assert spans is not None
    assert spans.read == [3]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"interactions": {"window": 3}}, r"`window` needs `{SPAN}`"),
        ({"span": 3}, r"`span` needs `{SPAN}`"),
        ({"interactions": {"path": "{SPAN}.csv", "window": 0}}, "greater than or equal to 1"),
    ],
)
def test_what_needs_spans_says_so(tmp_path: Path, data: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config(write_config(tmp_path, data=data))
