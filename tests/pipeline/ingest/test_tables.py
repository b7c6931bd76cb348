import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from config.data import Table
from pipeline.ingest.headers import check_has_rows
from pipeline.ingest.tables import TableError, file_size, table_files, table_format
from tests.pipeline.ingest.read_tables import column_names, rows


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


@pytest.mark.parametrize("name", ["log[1].csv", "a?b.csv", "all*.csv", "data [2024]/log.csv"])
def test_a_path_that_is_there_is_itself_whatever_it_holds(tmp_path, name):
    _touch(tmp_path, name, "log1.csv", "allb.csv", "axb.csv")
    assert table_files(str(tmp_path), Table(path=name)) == [f"{tmp_path}/{name}"]


def test_the_folder_of_the_data_is_no_glob(tmp_path):
    _touch(tmp_path, "d[1]/part-1.csv", "d1/part-2.csv", "d[1]/s3.csv")
    folder = f"{tmp_path}/d[1]"
    assert table_files(folder, Table(path="part-*.csv")) == [f"{folder}/part-1.csv"]
    assert table_files(folder, Table(path="s{SPAN}.csv")) == [f"{folder}/s3.csv"]


def _parts(folder, *names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"u": [number]}), folder / name)


def test_a_folder_of_parts_is_a_table(tmp_path):
    _parts(tmp_path, "log.parquet/part-1.snappy.parquet", "log.parquet/part-0.snappy.parquet")
    _touch(tmp_path, "log.parquet/_SUCCESS", "log.parquet/.part-0.crc", "log.parquet/_temporary/0/part-9.parquet")
    assert rows(tmp_path, "log.parquet/*") == [(1,), (0,)]
    (tmp_path / "log.parquet/part-2").write_bytes(b"")
    for path in ("log.parquet", "log.parquet/", "log*.parquet"):
        assert rows(tmp_path, path) == [(1,), (0,)]


def test_folders_name_columns(tmp_path):
    _parts(tmp_path, "log/date=2020-09-02/hour=1/a.parquet", "log/date=__HIVE_DEFAULT_PARTITION__/hour=a%3Ab/a.parquet")
    table = Table(path="log")
    assert column_names(str(tmp_path), table) == ["u", "date", "hour"]
    assert rows(tmp_path, "log", ["hour", "date"]) == [("1", "2020-09-02"), ("a:b", None)]
    assert rows(tmp_path, "log/date=2*/*/*.parquet", ["date", "u"]) == [("2020-09-02", 0)]


@pytest.mark.parametrize(("name", "text"), [("a.csv", "u,day\n1,x\n"), ("a.jsonl", '{"u": "1"}\n')])
def test_folders_name_columns_of_text_formats_too(tmp_path, name, text):
    (tmp_path / "log/day=3").mkdir(parents=True)
    (tmp_path / "log/day=3" / name).write_text(text)
    assert rows(tmp_path, "log", ["day", "u"]) == [("x" if "csv" in name else "3", "1")]


def test_a_delta_table_is_refused(tmp_path):
    _touch(tmp_path, "log/_delta_log/0.json", "log/part-0.csv")
    with pytest.raises(TableError, match="is a Delta table, whose files hold deleted rows too"):
        table_files(str(tmp_path), Table(path="log"))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("evnts.parquet", "no such file. .* holds: events.parquet/, items.csv$"),
        ("events.parquet/*.csv", "no such file. .*events.parquet holds: part-0.parquet$"),
        ("day/log.csv", "There is not a folder .*/day$"),
        ("empty", "no such file"),
    ],
)
def test_a_message_names_what_is_there(tmp_path, path, message):
    _touch(tmp_path, "items.csv", "events.parquet/part-0.parquet")
    with pytest.raises(TableError, match=message):
        table_files(str(tmp_path), Table(path=path))


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("a.json", "`format: jsonl`"),
        ("a.xlsx", "save the sheet as CSV"),
        ("a.csv.zip", "unpack it"),
        ("a.dat", "`format: csv`"),
    ],
)
def test_an_unknown_extension_names_the_remedy(path, remedy):
    with pytest.raises(TableError, match=remedy):
        table_format(Table(path=path))


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl", "a.tfrecord"])
def test_a_table_without_rows_is_reported(tmp_path, name):
    if name == "a.parquet":
        pq.write_table(pa.table({"u": pa.array([], pa.int64())}), tmp_path / name)
    else:
        (tmp_path / name).write_text({"a.csv": "u,i\n \n", "a.jsonl": "\n", "a.tfrecord": ""}[name])
    with pytest.raises(TableError, match=rf"{name}: has no rows, nor have its 1 other files"):
        check_has_rows([str(tmp_path / name)] * 2, Table(path=name))
