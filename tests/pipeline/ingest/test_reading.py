import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from config.data import Table
from pipeline.ingest import csv_reading, reading
from pipeline.ingest.reading import read_batches
from pipeline.ingest.tables import TableError


def _read(folder, name, columns=("a", "b"), **options):
    batches = list(read_batches(str(folder / name), Table(path=name, **options), columns))
    rows = [row for batch in batches for row in batch.rows.to_pylist()]
    return [tuple(row[c] for c in columns) for row in rows], sum(batch.malformed for batch in batches)


def test_csv_is_text_and_malformed_rows_are_counted(tmp_path):
    (tmp_path / "t.csv").write_text('x,a,b\n1,007,2\n1,2\n\n1,2,3,4\n1,,"y, ""z""\nend"\n')
    assert _read(tmp_path, "t.csv", multiline=True) == ([("007", "2"), ("", 'y, "z"\nend')], 2)


def test_only_malformed_rows(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1\n2\n")
    assert _read(tmp_path, "t.csv") == ([], 2)


def test_only_a_header(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n")
    assert _read(tmp_path, "t.csv") == ([], 0)


def test_csv_in_many_blocks_keeps_the_order(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_reading, "CSV_BLOCK_BYTES", 64)
    lines = [f"{n},{n + 1}" if n % 7 else "bad" for n in range(500)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b", *lines]))
    expected = [(str(n), str(n + 1)) for n in range(500) if n % 7]
    assert _read(tmp_path, "t.csv") == (expected, 72)


def test_csv_options(tmp_path):
    (tmp_path / "t.csv").write_bytes("a;b\r\nä;ß\r\n".encode("latin-1"))
    assert _read(tmp_path, "t.csv", separator=";", encoding="latin-1") == ([("ä", "ß")], 0)


STRAY = 'x,a,note\n1,007,ok\n\n1,2,3,4\n1,2,"5 disk\n' + "2,3,ok\n" * 20


@pytest.mark.parametrize(
    ("rest", "block"),
    [
        ("", 1 << 20),  # no other quote: up to the end of the file
        ("", 64),  # and in several blocks
        ('8,9,"7 in\n8,9,ok\n', 1 << 20),  # up to the next one
        ('8,9,"7 in\n8,9,ok\n', 64),
        ('8,"9",ok\n', 1 << 20),  # and the row that this makes is malformed
        ('8,9,last"', 1 << 20),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_a_stray_quote_is_named_and_not_a_long_value(tmp_path, monkeypatch, rest, block, end, name):
    monkeypatch.setattr(csv_reading, "CSV_BLOCK_BYTES", block)
    content = (STRAY + rest).replace("\n", end).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    message = rf"{name}, line 5: a quote in column 'note' is not closed in its line: '5 disk'\. .*`multiline: true`"
    with pytest.raises(TableError, match=message):
        _read(tmp_path, name, ("x", "a"))
    plain = _read(tmp_path, name, ("x", "a"), quote=None)
    lines = content.decode().split(end)[1:]
    assert plain == ([tuple(line.split(",")[:2]) for line in lines if line.count(",") == 2], 1)


def test_a_stray_quote_in_the_header_or_past_the_columns_is_named(tmp_path):
    (tmp_path / "t.csv").write_text('a,b,"c\n1,2,3\n4,5,6\n')
    with pytest.raises(TableError, match=r"t\.csv, line 1: a quote in the header .*: 'c'"):
        _read(tmp_path, "t.csv")
    (tmp_path / "t.csv").write_text('a,b\n1,2,"c\n4,5\n')
    with pytest.raises(TableError, match=r"t\.csv, line 2: a quote in value 3 .*: 'c'"):
        _read(tmp_path, "t.csv")


def test_a_stray_quote_in_two_byte_text_is_named(tmp_path):
    (tmp_path / "t.csv").write_bytes('a,b\n1,2\n3,"4\n5,6\n'.encode("utf-16"))
    with pytest.raises(TableError, match="line 3: a quote in column 'b'"):
        _read(tmp_path, "t.csv", encoding="utf-16")
    (tmp_path / "t.csv").write_bytes('a,b\n1,2\n3,"4"\n5,6\n'.encode("utf-16"))
    assert _read(tmp_path, "t.csv", encoding="utf-16") == ([("1", "2"), ("3", "4"), ("5", "6")], 0)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_quotes_blank_lines_and_long_values_are_innocent(tmp_path, monkeypatch, end):
    monkeypatch.setattr(csv_reading, "CSV_BLOCK_BYTES", 1 << 18)
    long = "x" * 200_000
    text = f'"a",b\n"1, ""2""",5" disk\n\n\n"{long}","y"z\n,"last'
    (tmp_path / "t.csv").write_bytes(text.replace("\n", end).encode())
    assert _read(tmp_path, "t.csv") == ([('1, "2"', '5" disk'), (long, "yz"), ("", "last")], 0)


def test_a_file_without_blank_lines_is_read_once(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_reading, "check_quotes", lambda path, table: pytest.fail("read twice"))
    monkeypatch.setattr(csv_reading, "CSV_BLOCK_BYTES", 33)
    for end in ("\n", "\r\n", "\r"):
        for last in ("", end):
            (tmp_path / "t.csv").write_bytes((end.join(['a,"b"', *['1,"2"'] * 50, "bad"]) + last).encode())
            assert _read(tmp_path, "t.csv") == ([("1", "2")] * 50, 1)


def test_gzip(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert _read(tmp_path, "t.csv.gz") == ([("1", "2")], 0)


def test_json_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BATCH_ROWS", 2)
    rows = [{"a": 1, "b": "x"}, {"a": "u"}, None, [1], {"a": 2.5, "b": None, "c": 1}]
    lines = ["{broken", *(json.dumps(row) for row in rows), ""]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    # A batch whose rows differ in type becomes text.
    assert _read(tmp_path, "t.jsonl") == ([(1, "x"), ("u", None), (2.5, None)], 3)


def test_json_lines_of_mixed_types_in_one_batch(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"a": 1, "b": 1}\n{"a": "u", "b": 2}\n')
    assert _read(tmp_path, "t.jsonl") == ([("1", 1), ("u", 2)], 0)


@pytest.mark.parametrize("huge", [2**63, 2**64, -(2**63) - 1])
def test_json_numbers_of_more_than_64_bits_are_text(tmp_path, huge):
    (tmp_path / "t.jsonl").write_text(f'{{"a": {huge}, "b": 1}}\n{{"a": 5, "b": 2}}\n{{"b": 3}}\n')
    assert _read(tmp_path, "t.jsonl") == ([(str(huge), 1), ("5", 2), (None, 3)], 0)


def test_parquet_keeps_types_and_order_of_columns(tmp_path):
    pq.write_table(pa.table({"b": [["x"], None], "z": [0, 0], "a": [1, 2]}), tmp_path / "t.parquet")
    assert _read(tmp_path, "t.parquet") == ([(1, ["x"]), (2, None)], 0)


def test_tfrecord(tmp_path):
    import tensorflow as tf

    def example(**values):
        features = {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
            if isinstance(value, bytes)
            else tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
            for name, value in values.items()
        }
        return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()

    with tf.io.TFRecordWriter(str(tmp_path / "t.tfrecord")) as writer:
        writer.write(example(a=1, b=b"x"))
        writer.write(example(a=2))
    assert _read(tmp_path, "t.tfrecord") == ([([1], [b"x"]), ([2], None)], 0)
    assert _read(tmp_path, "t.tfrecord", ("a", "c")) == ([([1], None), ([2], None)], 0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"a,x\n1,2\n", r"has no column 'b'\. Columns: a, x"),
        ("t.csv", b"a,b\n1,2\xff\n", "is not utf-8 text .*Set the table's `encoding`"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-9], "is not a whole gzip file"),
        ("t.jsonl", b'{"a": "\xff"}\n', "is not utf-8 text"),
        ("t.parquet", b"PAR1 and nothing else PAR1", "is not Parquet"),
        ("t.tfrecord", b"x" * 40, "is not a TFRecord file"),
    ],
)
def test_errors_name_the_file_and_the_remedy(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=message) as error:
        _read(tmp_path, name)
    assert str(tmp_path / name) in str(error.value)


def test_unknown_encoding(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TableError, match="is not nonsense text"):
        _read(tmp_path, "t.csv", encoding="nonsense")


def _lines(folder, name, **options):
    """The line of each row by its value of `a`, and the samples of what is no row."""
    batches = list(read_batches(str(folder / name), Table(path=name, **options), ["a"]))
    rows = [
        (value, None if batch.lines is None else int(batch.lines[n]))
        for batch in batches
        for n, value in enumerate(batch.rows["a"].to_pylist())
    ]
    return rows, [tuple(sample) for batch in batches for sample in batch.samples]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("block", [64, 1 << 20])
def test_csv_rows_have_their_lines_and_malformed_ones_are_kept(tmp_path, monkeypatch, block, end):
    monkeypatch.setattr(csv_reading, "CSV_BLOCK_BYTES", block)
    lines = ["a,b", *(f"{n},x" if n % 7 else f"bad{n}" for n in range(2, 100))]  # line n holds n
    (tmp_path / "t.csv").write_text(end.join(lines), newline="")
    rows, samples = _lines(tmp_path, "t.csv")
    assert rows == [(str(n), n) for n in range(2, 100) if n % 7]
    assert samples == [(n, f"bad{n}", "has 1 values, the header 2") for n in (7, 14, 21, 28, 35)]


@pytest.mark.parametrize(
    ("text", "options"),
    [("a,b\n1,2\n\n3,4\n5\n", {}), ("a,b\n\n1,2\n3,4\n5", {}), ('a,b\n1,2\n3,"4\n"\n5\n', {"multiline": True})],
)
def test_rows_after_blank_lines_and_long_values_have_no_known_line(tmp_path, text, options):
    (tmp_path / "t.csv").write_text(text)
    expected = [("1", None), ("3", None)], [(None, "5", "has 1 values, the header 2")]
    assert _lines(tmp_path, "t.csv", **options) == expected


def test_json_rows_have_their_lines(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n\n[2]\n{"a": 3}\n{"a"\n')
    assert _lines(tmp_path, "t.jsonl") == (
        [(1, 1), (3, 4)],
        [(3, "[2]", "is not a JSON object"), (5, '{"a"', "is not a JSON object")],
    )
