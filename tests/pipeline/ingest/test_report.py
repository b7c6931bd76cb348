import json
from collections import Counter

import pytest

from pipeline.ingest.report import ERRORS, IngestError, as_json, check, lines, merge
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
    return json.loads(as_json(COUNTS + Counter({tuple(k.split("/")): v for k, v in more.items()})))


def test_counts_add_up_and_nest():
    total = json.loads(as_json(merge([COUNTS, Counter({("interactions", "rows"): 1})])))
    assert total["interactions"] == {"rows": 101, "bad_rows": 5, "dropped": {"missing user_id": 5}, "kept": 95}


def test_lines_for_the_log():
    assert next(iter(lines(_report()))) == "interactions: bad_rows: 5, dropped missing user_id: 5, kept: 95, rows: 100"


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


def test_an_empty_split_names_method_and_counts():
    report = _report()
    del report["splits"]["eval"]
    with pytest.raises(
        IngestError, match=r"the split `eval` is empty with `split.method` leave_last_out; 95 of 100 rows"
    ):
        check(report, config_of())


def test_what_stopped_a_reader_comes_first():
    report = json.loads(as_json(Counter({(ERRORS, "a.csv: is broken"): 1})))
    with pytest.raises(IngestError, match=r"a\.csv: is broken"):
        check(report, config_of())
