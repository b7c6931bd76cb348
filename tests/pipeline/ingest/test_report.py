from collections import Counter

import pytest

from pipeline.ingest.findings import ERRORS, Findings, merge
from pipeline.ingest.report import as_report, lines, summary
from pipeline.ingest.verdicts import IngestError, check
from tests.pipeline.ingest.reference import config_of

COUNTS = Counter(
    {
        ("interactions", "rows"): 100,
        ("interactions", "bad_rows"): 5,
        ("interactions", "dropped", "missing user_id"): 5,
        ("interactions", "kept"): 95,
        **{("splits", split, "examples"): 3 for split in ("train", "eval", "test", "items")},
    }
)


def _report(**more):
    counts = COUNTS + Counter({tuple(k.split("/")): v for k, v in more.items()})
    return as_report(Findings(counts), {})


def test_counts_add_up_and_nest():
    total = as_report(merge([COUNTS, Findings(Counter({("interactions", "rows"): 1}))]), {})
    assert total["interactions"] == {"rows": 101, "bad_rows": 5, "dropped": {"missing user_id": 5}, "kept": 95}


def test_lines_for_the_log():
    assert next(iter(lines(_report()))) == "interactions: rows: 100, bad_rows: 5, dropped missing user_id: 5, kept: 95"


def test_a_share_at_the_limit_passes():
    check(_report(), config_of())


def test_too_many_bad_rows_stop_the_run_with_the_counts():
    with pytest.raises(
        IngestError, match=r"6 of 100 rows of the table `interactions` are bad \(6\.0%\).*missing user_id: 5"
    ):
        check(_report(**{"interactions/bad_rows": 1}), config_of())
    check(_report(**{"interactions/bad_rows": 1}), config_of(cleaning={"max_bad_share": 0.06}))


def test_side_tables_have_the_same_limit():
    with pytest.raises(IngestError, match="1 of 2 rows of the table `items` are bad"):
        check(_report(**{"items/rows": 2, "items/bad_rows": 1}), config_of())


def test_a_table_without_rows_is_named():
    data = {"folder": "-", "interactions": {"path": "log.csv"}, "items": {"path": "shop/items.csv", "id": "i"}}
    with pytest.raises(IngestError, match=r"^items\.csv has no rows"):
        check(_report(), config_of(data=data))


def test_the_line_for_a_person_gives_the_reasons():
    report = _report(**{"interactions/dropped/duplicate": 2, "interactions/clipped/rating": 4, "items/rows": 5})
    report["overlap"] = {"items": {"of": 30, "met": 28, "of_events": 95, "met_events": 90}}
    assert summary(report) == (
        "95 of 100 rows (dropped: missing user_id 5, duplicate 2; clipped: rating 4); "
        "windows: train 3, eval 3, test 3; 3 items; of the log in its tables: 28 of 30 items"
    )


def test_an_empty_split_names_method_and_counts():
    report = _report()
    del report["splits"]["eval"]
    with pytest.raises(
        IngestError, match=r"the split `eval` is empty with `split.method` leave_last_out; 95 of 100 rows"
    ):
        check(report, config_of())


def test_what_stopped_a_reader_comes_first():
    report = as_report(Findings(Counter({(ERRORS, "a.csv: is broken"): 1})), {})
    with pytest.raises(IngestError, match=r"a\.csv: is broken"):
        check(report, config_of())
