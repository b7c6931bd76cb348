import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from config import load_config
from config.data import EntityTable, Table
from pipeline.cli.user_history import find_user_history
from pipeline.ingest.component import InteractionExampleGen
from pipeline.ingest.reading import read_batches
from pipeline.ingest.tables import HIDDEN, TableError
from serving.client.personal import KEY_VARIABLE, hashed
from tests.pipeline.ingest.conftest import run_ingest
from tests.synthetic import write_config

KEY = "sixteen characters and more"


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)


def _hash(value):
    return None if value is None else hashed(value, KEY.encode())


def test_values_are_hashed_as_text_and_missing_ones_stay_missing(tmp_path):
    (tmp_path / "t.csv").write_text("user,zip,n\n alice-raw-0001 ,08001,1\nNULL,,2\nbob-raw-0002,NULL,3\n")
    table = Table(path="t.csv", personal=("user", "zip"))
    (batch,) = read_batches(str(tmp_path / "t.csv"), table, ["n", "zip", "user"])
    assert batch.rows["user"].to_pylist() == [_hash("alice-raw-0001"), None, _hash("bob-raw-0002")]
    assert batch.rows["zip"].to_pylist() == [_hash("08001"), None, None]
    assert batch.rows["n"].to_pylist() == batch.written["n"].to_pylist() == ["1", "2", "3"]
    assert batch.written["user"].to_pylist() == batch.rows["user"].to_pylist()


def test_a_number_has_one_hash_however_it_is_written(tmp_path):
    (tmp_path / "t.csv").write_text("id\n17.0\n3.0\n")
    pq.write_table(pa.table({"id": [17, 3]}), tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        (batch,) = read_batches(str(tmp_path / name), EntityTable(path=name, id="id", personal=("id",)), ["id"])
        assert batch.rows["id"].to_pylist() == [_hash("17"), _hash("3")]


def test_each_value_of_a_list_is_hashed(tmp_path):
    pq.write_table(pa.table({"id": [["a"], None, ["b", "c"], []]}), tmp_path / "t.parquet")
    (batch,) = read_batches(str(tmp_path / "t.parquet"), Table(path="t.parquet", personal=("id",)), ["id"])
    assert batch.rows["id"].to_pylist() == [[_hash("a")], None, [_hash("b"), _hash("c")], []]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('user,n\n"alice-raw-0001,1\nbob,2\n', "a quote in column 'user' is not closed in its line"),
        ('user,n\n"alice-raw-0001 \\"a\\"",1\n', "a backslash stands before a quote"),
    ],
)
def test_errors_do_not_show_text_of_the_table(tmp_path, text, expected):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(TableError, match=expected) as raised:
        list(read_batches(str(tmp_path / "t.csv"), Table(path="t.csv", personal=("user",)), ["user", "n"]))
    assert HIDDEN in str(raised.value)
    assert "alice" not in str(raised.value)


def test_malformed_lines_are_counted_and_not_shown(tmp_path):
    (tmp_path / "t.csv").write_text("user,n\nalice-raw-0001\nbob,1\n")
    (batch,) = read_batches(str(tmp_path / "t.csv"), Table(path="t.csv", personal=("user",)), ["user"])
    assert batch.malformed == 1
    assert [(sample.line, sample.text) for sample in batch.samples] == [(2, HIDDEN)]


def test_a_folder_named_by_a_personal_value_is_refused(tmp_path):
    path = tmp_path / "user=alice" / "t.csv"
    path.parent.mkdir()
    path.write_text("n\n1\n")
    with pytest.raises(TableError, match="personal column 'user'") as raised:
        list(read_batches(str(path), Table(path="log/*/t.csv", personal=("user",)), ["user"]))
    assert "alice" not in str(raised.value)


def _personal(tables, folder, user_columns=("user_id", "gender")):
    data = {"interactions": {"personal": ["user_id", "device"]}, "users": {"personal": list(user_columns)}}
    return load_config(write_config(tables, data=data, cleaning={"max_bad_share": 0.9}))


def test_ingest_joins_hashes_and_its_report_shows_no_raw_value(tables, tmp_path, ingested):
    ran = run_ingest(_personal(tables, tmp_path), tmp_path / "run")
    before, after = (
        {(e["user_id"][0], *e.get("user_gender", ())) for e in run.examples("test")} for run in (ingested, ran)
    )
    assert {tuple(map(_hash, values)) for values in before} == after
    assert max(map(len, before)) == 2
    counts = [json.loads((run.folder / "ingest.json").read_text())["interactions"] for run in (ingested, ran)]
    assert counts[0] == counts[1]
    assert '"u0"' not in (ran.folder / "ingest.json").read_text()


def test_another_key_is_another_cache_key(tables, tmp_path, monkeypatch):
    def key():
        return InteractionExampleGen(_personal(tables, tmp_path)).spec.exec_properties["custom_config"]

    first = key()
    assert first == key()
    monkeypatch.setenv(KEY_VARIABLE, KEY + "!")
    assert first != key()
    monkeypatch.delenv(KEY_VARIABLE)  # as where a pipeline is compiled
    assert first != key()


def test_a_user_is_asked_for_by_the_raw_id(tables, tmp_path):
    config = _personal(tables, tmp_path)
    history = find_user_history(config, "u3")
    assert history.user == _hash("u3")
    assert len(history.items) > 3
    assert set(history.events["context_device"]) <= {_hash(d) for d in ("phone", "desktop", "tv")} | {None}
