from collections import Counter

import numpy as np
import pyarrow as pa

from pipeline.ingest.findings import Findings, Sample, merge
from pipeline.ingest.report import as_report
from pipeline.ingest.values import holds_line_end


def _sample(file, row):
    return Sample(file, row, row + 2, "t", "soon", "a number")


def _part(file, rows):
    findings = Findings(Counter({("interactions", "rows"): len(rows)}))
    findings.samples["interactions", "unparsable t"] = [_sample(file, row) for row in rows]
    findings.widen(("interactions", "t"), file, 10 * file)
    findings.expressions["positive", "of"] += 1
    findings.values["positive", "kind"] = Counter({"view": file, "": 1})
    return findings


def test_parts_in_any_order_give_the_first_rows_and_the_whole_span():
    parts = [_part(2, [0, 1, 2, 3]), Counter({("interactions", "kept"): 7}), _part(1, [5, 9])]
    for order in (parts, parts[::-1]):
        total = merge([merge(order[:2]), *order[2:]])
        assert total.samples["interactions", "unparsable t"] == [
            *(_sample(1, 5), _sample(1, 9), _sample(2, 0), _sample(2, 1), _sample(2, 2))
        ]
        report = as_report(total, {"interactions": ["0.csv", "1.csv", "2.csv"]})
        assert report["interactions"] == {"rows": 6, "kept": 7}
        assert report["spans"] == {"interactions": {"t": [1, 20]}}
        assert report["expressions"] == {"positive": {"of": 2}}
        assert report["values"] == {"positive": {"kind": {"view": 3, "": 2}}}
        assert report["samples"][0] == {
            "table": "interactions",
            "reason": "unparsable t",
            "file": "1.csv",
            "line": 7,
            "column": "t",
            "value": "soon",
            "expected": "a number",
        }


def test_overlap_counts_ids_and_events_and_shows_what_does_not_meet():
    one, two = Findings(), Findings()
    one.add_overlap("items", pa.array(["6.0", "17.0", "x"]), np.array([5, 1, 2]), pa.array(["6", "x", "7"]))
    two.add_overlap("items", pa.array(["31.0"]), np.array([9]), pa.array(["31", "4"]))
    assert as_report(merge([one, two]), {})["overlap"] == {
        "items": {"of": 4, "met": 1, "of_events": 17, "met_events": 2, "log": "6.0", "table": "4"}
    }


def test_line_ends_in_texts_and_lists():
    texts = pa.array(["a", "b\n", None, "c\rd", "é"])
    assert holds_line_end(texts).tolist() == [False, True, False, True, False]
    assert holds_line_end(texts.slice(2, 2)).tolist() == [False, True]
    lists = pa.array([["a", "b\n"], None, [], ["c"], ["\r", "\n"]])
    assert holds_line_end(lists).tolist() == [True, False, False, False, True]
    assert holds_line_end(pa.array([], pa.string())).tolist() == []
