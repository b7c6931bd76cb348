import csv
import json
import shutil
from collections import Counter
from datetime import datetime

import pandas as pd
import pytest

from config import load_config
from pipeline.ingest.splits import EVAL, TEST
from pipeline.ingest.tables import TableError
from pipeline.ingest.verdicts import IngestError
from tests.pipeline.ingest import reference
from tests.pipeline.ingest.conftest import run_ingest
from tests.synthetic import DIRTY_ROWS, write_config


def _report(run):
    return json.loads((run.folder / "ingest.json").read_text())


def _clean_rows(folder):
    """The rows of the synthetic log without its dirt, by the csv module."""
    rows, known = [], set()
    with (folder / "interactions.csv").open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            key = (row["user_id"], row["item_id"], row["timestamp"])
            is_clean = all(key) and row["timestamp"].isdigit() and row["rating"].isdigit()
            if is_clean and key not in known:
                known.add(key)
                rows.append((reference.Row(*key[:2], int(key[2]), True, number), row))
    return rows


def test_the_report_counts_what_the_tables_hold(ingested):
    report = _report(ingested)
    assert report["interactions"] == {
        "rows": 800 + sum(DIRTY_ROWS.values()),
        "kept": 800,
        "bad_rows": sum(DIRTY_ROWS.values()) - DIRTY_ROWS["duplicate"],
        "dropped": {
            "duplicate": DIRTY_ROWS["duplicate"],
            "missing user_id": DIRTY_ROWS["missing user"],
            "missing item_id": DIRTY_ROWS["missing item"],
            "unparsable timestamp": DIRTY_ROWS["unparsable time"],
            "unparsable rating": DIRTY_ROWS["unparsable rating"],
        },
    }
    assert report["items"] == {"rows": 40, "kept": 40}
    assert report["users"] == {"rows": 54, "kept": 54}
    assert sum(report["splits"][s]["rows"] for s in ("train", "eval", "test")) == 800
    assert report["splits"]["items"] == {"examples": 40}


def test_the_report_counts_what_the_splits_hold(ingested):
    counts = _report(ingested)["splits"]
    for split in ("train", "eval", "test"):
        examples = ingested.examples(split)
        targets = [item for e in examples for item, t in zip(e["item_id"], e["is_target"], strict=True) if t]
        assert counts[split] == {
            "rows": len(targets),
            "examples": len(examples),
            "users": len({e["user_id"][0] for e in examples}),
            "items": len(set(targets)),
        }


def test_the_artifact_is_what_tfx_expects(ingested):
    assert ingested.artifact.split_names == '["train", "eval", "test", "items"]'
    assert ingested.artifact.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"
    assert ingested.artifact.get_string_custom_property("file_format") == "tfrecords_gzip"


def test_windows_hold_the_log(tables, ingested):
    log = {(row.user, row.item, row.time): record for row, record in _clean_rows(tables)}
    targets = Counter()
    for example in ingested.examples("train"):
        assert len(example["item_id"]) <= 20
        for n, item in enumerate(example["item_id"]):
            key = (example["user_id"][0], item, example["time"][n])
            rating = int(log[key]["rating"])
            assert example["outcome_rating"][n] == example["label_rating"][n] == rating
            assert example["label_like"][n] == (rating >= 4)
            assert example["weight_like"][n] == example["weight_rating"][n] == example["is_positive"][n] == 1
            assert example["context_device"][n] == log[key]["device"]
            targets[key] += example["is_target"][n]
    assert set(targets.values()) == {1}


@pytest.mark.parametrize("method", ["leave_last_out", "global_time", "random"])
def test_evaluation_is_that_of_the_reference(tables, ingested, tmp_path, method):
    config = load_config(write_config(tables, split={"method": method, "history": "rolling"}))
    run = ingested if method == "leave_last_out" else run_ingest(config, tmp_path)
    rows = [row for row, _ in _clean_rows(tables)]
    item = {row.ordinal: row.item for row in rows}
    parts = _parts(rows, config, sum(DIRTY_ROWS.values()) + 800)
    for split, part in (("eval", EVAL), ("test", TEST)):
        found = [
            (e["user_id"][0], e["item_id"], sorted(seen), e["is_cold_user"], e["target_count"])
            for e, seen in zip(run.examples(split), reference.seen_items(run.examples(split)), strict=True)
        ]
        expected = [
            (w.user, [item[o] for o in w.events], sorted(w.seen), [w.is_cold], [w.target_count])
            for w in reference.evaluation_windows(rows, parts, part, config)
        ]
        assert sorted(found) == sorted(expected)
        assert len(found) > 10


def _parts(rows, config, total):
    """A random split draws among all rows of the table, the dirty ones too."""
    if config.split.method != "random":
        return reference.split(rows, config)
    everything = [reference.Row("", "", 0, True, n) for n in range(total)]
    return reference.split(everything, config)


def test_user_features_come_from_the_users_table(tables, ingested):
    users = pd.read_csv(tables / "users.csv", dtype=str, keep_default_na=False).set_index("user_id")
    for example in ingested.examples("test"):
        known = dict(users.loc[example["user_id"][0]]) if example["user_id"][0] in users.index else {}
        assert example.get("user_age") == ([float(known["age"])] if known.get("age") else None)
        assert example.get("user_gender") == ([known["gender"]] if known.get("gender") else None)


def test_the_catalogue_is_the_items_table(tables, ingested):
    table = pd.read_csv(tables / "items.csv", dtype=str, keep_default_na=False).set_index("item_id")
    catalogue = {e["catalogue_id"][0]: e for e in ingested.examples("items")}
    assert set(catalogue) == set(table.index)
    for item, row in table.iterrows():
        assert catalogue[item].get("item_genres") == (row["genres"].split("|") if row["genres"] else None)
        assert catalogue[item].get("item_year") == ([float(row["year"])] if row["year"] else None)
        assert catalogue[item].get("item_title") == ([row["title"]] if row["title"] else None)


def test_items_without_events_can_be_left_out(tables, tmp_path):
    log = pd.read_csv(tables / "interactions.csv", dtype=str, keep_default_na=False)
    log = log[log.item_id != "i0"]
    log.to_csv(tmp_path / "interactions.csv", index=False)
    for name in ("items.csv", "users.csv"):
        shutil.copy(tables / name, tmp_path)
    config = load_config(write_config(tmp_path, cleaning={"unseen_items": "drop"}))
    run = run_ingest(config, tmp_path / "out")
    catalogue = {e["catalogue_id"][0] for e in run.examples("items")}
    rows = len(pd.read_csv(tables / "items.csv"))
    assert catalogue == {i for s in ("train", "eval", "test") for e in run.examples(s) for i in e["item_id"]}
    assert "i0" not in catalogue
    assert _report(run)["items"]["kept"] == len(catalogue) == rows - _report(run)["items"]["dropped"]["unseen"]


def _as_other_formats(source, folder):
    """The same tables as two Parquet files, gzipped JSON lines and TFRecord."""
    from tests.pipeline.ingest.tfrecord_tables import write_tfrecord

    log = pd.read_csv(source / "interactions.csv", dtype=str, keep_default_na=False)
    log.iloc[:500].to_parquet(folder / "log-1.parquet")
    log.iloc[500:].to_parquet(folder / "log-2.parquet")
    items = pd.read_csv(source / "items.csv", dtype=str, keep_default_na=False)
    items = items.assign(genres=[g.split("|") if g else None for g in items.genres])
    items.to_json(folder / "items.jsonl.gz", orient="records", lines=True)
    write_tfrecord(folder / "users.tfrecord", pd.read_csv(source / "users.csv", dtype=str, keep_default_na=False))


def test_all_formats_give_the_same_examples(tables, ingested, tmp_path):
    _as_other_formats(tables, tmp_path)
    data = {
        "interactions": {"path": "log-*.parquet"},
        "items": {"path": "items.jsonl.gz"},
        "users": {"path": "users.tfrecord"},
    }
    run = run_ingest(load_config(write_config(tmp_path, data=data)), tmp_path / "out")
    reports = [_report(run), _report(ingested)]
    samples = [[(s["reason"], s["value"]) for s in report.pop("samples")] for report in reports]
    assert samples[0] == samples[1]  # at other positions, since one format has lines
    assert reports[0] == reports[1]
    for split in ("train", "eval", "test", "items"):
        assert sorted(map(str, run.examples(split))) == sorted(map(str, ingested.examples(split)))


def test_a_log_alone(tables, tmp_path):
    """No items table, no users table, no times; user features, a core and a split by users."""
    shutil.copy(tables / "interactions.csv", tmp_path)
    path = write_config(
        tmp_path,
        data={"interactions": {"path": "interactions.csv", "time": None}, "items": None, "users": None},
        features={"user": [{"name": "device", "kind": "categorical"}], "item": [], "context": []},
        split={"method": "user_hash", "eval_share": 0.2, "test_share": 0.2, "seed": 1},
        cleaning={"core": {"users": 5, "items": 8, "rounds": 3}},
        positive="rating >= 3",
    )
    run = run_ingest(load_config(path), tmp_path / "out")
    report = _report(run)
    assert report["interactions"]["dropped"]["core"] > 0
    assert report["interactions"]["kept"] == sum(report["splits"][s]["rows"] for s in ("train", "eval", "test"))
    users = [{e["user_id"][0] for e in run.examples(s)} for s in ("train", "eval", "test")]
    assert sum(map(len, users)) == len(set.union(*users)) > 30
    logged = {i for s in ("train", "eval", "test") for e in run.examples(s) for i in e["item_id"]}
    assert {e["catalogue_id"][0] for e in run.examples("items")} == logged
    example = run.examples("test")[0]
    assert "time" not in example
    assert example["is_cold_user"] == [0]
    assert example["user_device"]
    assert example["is_positive"] == [int(r >= 3) for r in example["outcome_rating"]]


def _fails(folder, error, message, **overrides):
    with pytest.raises(error, match=message):
        run_ingest(load_config(write_config(folder, **overrides)), folder / "out")


def test_a_missing_table_is_named(tables, tmp_path):
    shutil.copytree(tables, tmp_path, dirs_exist_ok=True)
    _fails(
        tmp_path,
        TableError,
        r"books\.csv: no such file\. .* holds: .*items\.csv",
        data={"items": {"path": "books.csv"}},
    )


def test_an_unknown_column_is_named_before_any_work(tables, tmp_path):
    shutil.copytree(tables, tmp_path, dirs_exist_ok=True)
    tasks = {"like": {"kind": "binary", "label": "stars >= 4"}}
    _fails(tmp_path, TableError, r"interactions\.csv: has no column 'stars'\. Columns: user_id, item_id", tasks=tasks)
    assert not (tmp_path / "out").exists()


def test_a_file_that_breaks_in_the_middle_is_one_clear_error(tables, tmp_path):
    shutil.copytree(tables, tmp_path, dirs_exist_ok=True)
    with (tmp_path / "interactions.csv").open("ab") as file:
        file.write("u1,i1,1700000000,5,caf\xe9\n".encode("latin-1"))
    _fails(tmp_path, IngestError, r"interactions\.csv: is not utf-8 text .*`encoding`$")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"user_id": b"caf\xe9"}, r"UTF8.* Columns: user_id \(binary\), item_id \(string\)"),
        ({"rating": datetime(2024, 1, 1)}, r"timestamp.* Columns: .*rating \(timestamp"),
    ],
)
def test_a_column_of_another_type_is_one_clear_error(tables, tmp_path, changed, message):
    shutil.copytree(tables, tmp_path, dirs_exist_ok=True)
    log = pd.read_csv(tmp_path / "interactions.csv", dtype=str, keep_default_na=False)
    log.assign(**changed).to_parquet(tmp_path / "log.parquet")
    data = {"interactions": {"path": "log.parquet"}}
    _fails(tmp_path, IngestError, r"log\.parquet: a column cannot be read as the configuration.*" + message, data=data)


def test_an_empty_split_stops_the_run(tmp_path):
    (tmp_path / "interactions.csv").write_text("user_id,item_id,timestamp\nu,a,1\nu,b,2\nv,a,1\n")
    overrides = {
        "data": {"items": None, "users": None},
        "features": {"user": [], "item": [], "context": [], "outcome": []},
    }
    tasks = {"rating": {"label": "1"}, "like": {"label": "1"}}
    _fails(
        tmp_path,
        IngestError,
        "the split `eval` is empty with `split.method` leave_last_out; 3 of 3 rows",
        tasks=tasks,
        **overrides,
    )


def test_tables_without_rows(tmp_path):
    (tmp_path / "interactions.csv").write_text("user_id,item_id,timestamp\n")
    overrides = {
        "data": {"items": None, "users": None},
        "features": {"user": [], "item": [], "context": [], "outcome": []},
    }
    tasks = {"rating": {"label": "1"}, "like": {"label": "1"}}
    split = {"method": "global_time"}
    _fails(tmp_path, TableError, "interactions.csv: has no rows", tasks=tasks, split=split, **overrides)


def test_purchases_beside_views_stay_and_a_catalogue_of_other_ids_stops_the_run(tmp_path):
    """One run: events that a label tells apart, a row of the year 2100, an items table that the log does not meet."""
    events = [(f"u{n % 4}", f"i{n % 5}", 1_600_000_000 + 60 * (n // 5)) for n in range(40)]
    rows = [(*event, kind) for event in events for kind in ("view", "view", "buy")]
    lines = [",".join(map(str, row)) for row in [*rows, ("u0", "i0", 4_102_444_800, "buy")]]
    (tmp_path / "interactions.csv").write_text("\n".join(["user_id,item_id,timestamp,kind", *lines]))
    (tmp_path / "items.csv").write_text("item_id\nI0\nI1\n")
    overrides = {"data": {"users": None}, "features": {"user": [], "item": [], "context": [], "outcome": []}}
    tasks = {"rating": {"label": "1"}, "like": {"label": "kind == 'buy'", "where": "kind == 'Buy' or kind != 'x'"}}
    message = r"^0 of 5 items of the log are in items\.csv \(log: 'i0', table: 'I0'\)"
    _fails(tmp_path, IngestError, message, tasks=tasks, **overrides)
    report = json.loads((tmp_path / "out" / "ingest.json").read_text())
    assert report["interactions"] == {
        "rows": 121,
        "kept": 80,
        "bad_rows": 1,
        "dropped": {"duplicate": 40, "future timestamp": 1},
    }
    assert report["expressions"]["tasks.like.label"] == {"of": 120, "holds": 40}
    assert report["overlap"] == {
        "items": {"of": 5, "met": 0, "of_events": 80, "met_events": 0, "log": "i0", "table": "I0"}
    }
    assert [(s["line"], s["value"]) for s in report["samples"]] == [(122, "4102444800")]
    assert report["warnings"] == [
        "`tasks.like.where` (kind == 'Buy' or kind != 'x') holds for all 120 events; kind holds 'view' (80), 'buy' (40)"
    ]
