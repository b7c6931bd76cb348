"""Words for missing mean the same in every kind of column."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from config.data import MISSING
from pipeline.ingest.missing import without_missing
from tests.pipeline.ingest.read_tables import batches, config, events, items

LOG = """u,i,t,device,stars,at
v1,p1,1,web,5,9
NULL,p1,2,web,5,9
v1,\\N,3,web,5,9
v1,p1,<NA>,web,5,9
v1,p1,5, NaN ,None,null
NAN,nanny,6,none,NA,N/A
"""
FEATURES = {
    "context": [{"name": "device", "kind": "categorical"}, {"name": "at", "kind": "time"}],
    "outcome": [{"name": "stars", "kind": "numeric"}],
}


def test_in_ids_categories_numbers_and_times(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    found, counts = events(config(tmp_path, {}, features=FEATURES))
    names = ("user", "item", "time", "context_device", "outcome_stars", "context_at")
    assert [tuple(row[name] for name in names) for row in found] == [
        ("v1", "p1", 1, "web", 5, 9),
        ("v1", "p1", 5, None, None, None),
        ("NAN", "nanny", 6, "none", None, None),  # NA may be Namibia, but it is no number and no time
    ]
    assert {key: number for key, number in counts.items() if key[1] == "dropped"} == {
        ("interactions", "dropped", "missing u"): 1,
        ("interactions", "dropped", "missing i"): 1,
        ("interactions", "dropped", "missing t"): 1,
    }


def test_in_lists_and_texts(tmp_path):
    (tmp_path / "items.csv").write_text(
        "i,tags,title\n1,a|NULL| nan|b,NULL\n2,\\N,Null and nan\n3,\"['x', 'None']\",None\n"
    )
    features = {"item": [{"name": "tags", "kind": "multi_valued"}, {"name": "title", "kind": "text"}]}
    found = items(config(tmp_path, {}, {}, features=features))
    assert [row["item_tags"] for row in found] == [["a", "b"], None, ["x"]]
    assert [row["item_title"] for row in found] == [None, "Null and nan", None]


def test_other_words(tmp_path):
    (tmp_path / "log.csv").write_text("u,i,t,stars\nNULL,-,1,-999\n-,a,2,3\nu,a,-,3\n")
    found, counts = events(config(tmp_path, {"missing": ["-", -999]}, tasks=_STARS))
    assert [(row["user"], row["item"]) for row in found] == []
    assert counts["interactions", "bad_rows"] == 3
    found, _ = events(config(tmp_path, {"missing": []}, tasks=_STARS))
    assert [(row["user"], row["item"], row["label_stars"]) for row in found] == [("NULL", "-", -999), ("-", "a", 3)]


_STARS = {"stars": {"kind": "regression", "label": "stars"}}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["a", "NULL", " nan", None, "null and void"]), ["a", None, None, None, "null and void"]),
        (pa.array(["a", "NULL"]).dictionary_encode(), ["a", None]),
        (pa.array([b"\\N", b"\xff"]), [None, b"\xff"]),
        (pa.array(["a", "<NA>"], pa.large_string()), ["a", None]),
        (pa.array([["a", "None"], None, ["nan"], []]), [["a", None], None, [None], []]),
        (pa.array([["a"], ["b", "None"], None]).slice(1), [["b", None], None]),
        (pa.array([-999, 5]), [None, 5]),
        (pa.array([-999.0, 5.5]), [None, 5.5]),
        (pa.array([True, None]), [True, None]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_of_every_type(column, expected):
    assert without_missing(pa.table({"a": column}), (*MISSING, "-999"))["a"].to_pylist() == expected


def test_the_rows_as_they_were_written_stay_with_the_batch(tmp_path):
    pq.write_table(pa.table({"u": ["NULL", "b"], "i": [1, 2], "t": [1, 2]}), tmp_path / "log.parquet")
    (batch,) = batches(tmp_path, config(tmp_path, {"path": "log.parquet"}).data.interactions, ["u"])
    assert (batch.rows["u"].to_pylist(), batch.written["u"].to_pylist()) == ([None, "b"], ["NULL", "b"])
