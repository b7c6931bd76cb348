import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config.data import Table
from pipeline.ingest.headers import column_names
from pipeline.ingest.tables import TableError, file_size, table_files, table_format


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.csv", "csv"),
        ("a.tsv", "csv"),
        ("b/*.csv.gz", "csv"),
        ("a.parquet", "parquet"),
        ("a.jsonl.gz", "jsonl"),
        ("a.tfrecord.gz", "tfrecord"),
    ],
)
def test_format_comes_from_the_extension(path, expected):
    assert table_format(Table(path=path)) == expected


def test_configured_format_wins():
    assert table_format(Table(path="part-*.csv", format="jsonl")) == "jsonl"


def test_unknown_extension_names_found_and_allowed():
    with pytest.raises(TableError, match=r"log\.txt: the extension '\.txt' .*\.csv.*csv, parquet"):
        table_format(Table(path="log.txt"))


def _touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a\n1\n")


def test_glob_yields_files_by_name(tmp_path):
    _touch(tmp_path, "part-2.csv", "part-1.csv", "other.csv")
    assert table_files(str(tmp_path), Table(path="part-*.csv")) == [
        f"{tmp_path}/part-1.csv",
        f"{tmp_path}/part-2.csv",
    ]


def test_newest_span_and_version_are_compared_as_numbers(tmp_path):
    _touch(tmp_path, "9/v2/a.csv", "10/v1/a.csv", "10/v3/a.csv", "10/v3/b.csv", "x/v9/a.csv")
    files = table_files(str(tmp_path), Table(path="{SPAN}/v{VERSION}/*.csv"))
    assert files == [f"{tmp_path}/10/v3/a.csv", f"{tmp_path}/10/v3/b.csv"]


def test_span_width_and_dates(tmp_path):
    _touch(tmp_path, "s02.csv", "s11.csv", "s100.csv", "2024-12-31.csv", "2025-01-01.csv")
    assert table_files(str(tmp_path), Table(path="s{SPAN:2}.csv")) == [f"{tmp_path}/s11.csv"]
    assert table_files(str(tmp_path), Table(path="{YYYY}-{MM}-{DD}.csv")) == [f"{tmp_path}/2025-01-01.csv"]


def test_missing_file_names_what_the_folder_holds(tmp_path):
    _touch(tmp_path, "items.csv")
    with pytest.raises(TableError, match=r"interactions\.csv: no such file\. .* holds: items\.csv"):
        table_files(str(tmp_path), Table(path="interactions.csv"))


def test_file_size_is_in_bytes(tmp_path):
    _touch(tmp_path, "a.csv")
    assert file_size(f"{tmp_path}/a.csv") == 4


def test_csv_header_with_mark_quotes_and_separator(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbfuser;"the ""item"""\n1;2\n')
    assert column_names(str(tmp_path), Table(path="a.csv", separator=";")) == ["user", 'the "item"']


def test_csv_header_in_another_encoding_and_gzip(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress("größe,ort\n1,2\n".encode("latin-1")))
    assert column_names(str(tmp_path), Table(path="a.csv.gz", encoding="latin-1")) == ["größe", "ort"]
    with pytest.raises(TableError, match=r"a\.csv\.gz: is not utf-8 text .*`encoding`"):
        column_names(str(tmp_path), Table(path="a.csv.gz"))


def test_parquet_columns(tmp_path):
    pq.write_table(pa.table({"u": [1], "i": ["a"]}), tmp_path / "a.parquet")
    assert column_names(str(tmp_path), Table(path="a.parquet")) == ["u", "i"]


def test_json_columns_are_those_of_all_first_rows(tmp_path):
    rows = [json.dumps({"u": 1}), "{broken", json.dumps({"u": 2, "i": "a"})]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    assert column_names(str(tmp_path), Table(path="a.jsonl")) == ["u", "i"]


def test_tfrecord_columns(tmp_path):
    import tensorflow as tf

    feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))
    example = tf.train.Example(features=tf.train.Features(feature={"u": feature, "i": feature}))
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord.gz"), "GZIP") as writer:
        writer.write(example.SerializeToString())
    assert column_names(str(tmp_path), Table(path="a.tfrecord.gz")) == ["i", "u"]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl", "a.tfrecord"])
def test_empty_file_is_an_error_that_names_it(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(TableError, match=name):
        column_names(str(tmp_path), Table(path=name))


@pytest.mark.parametrize("name", ["a.parquet", "a.tfrecord"])
def test_file_of_another_format_is_an_error_that_names_it(tmp_path, name):
    (tmp_path / name).write_bytes(b"user_id,item_id\n" * 10)
    with pytest.raises(TableError, match=f"{name}: is not"):
        column_names(str(tmp_path), Table(path=name))


def test_broken_gzip_is_an_error_that_names_it(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(b"user_id,item_id\n")
    with pytest.raises(TableError, match=r"a\.csv\.gz: is not a whole gzip file"):
        column_names(str(tmp_path), Table(path="a.csv.gz"))
