import itertools
import json
import random

import pytest

from config import load_config
from config.data import InteractionTable, Table
from pipeline.ingest import dividing
from pipeline.ingest.bundles import Bundle, in_files
from pipeline.ingest.dividing import divided
from pipeline.ingest.findings import Extent, Sample
from pipeline.ingest.reading import BundleReader
from pipeline.ingest.tables import TableError
from tests.pipeline.ingest.conftest import run_ingest
from tests.synthetic import write_config

DIALECTS = {
    "plain": {},
    "crlf": {"end": "\r\n"},
    "latin-1": {"table": {"encoding": "latin-1"}, "words": ("é", "ß")},
    "mark": {"mark": "\ufeff", "words": ("\ufeffx", "ü")},
    "quotes": {"words": ('"a,b"', '"say ""x"""')},
    "escape": {"table": {"escape": "\\"}, "words": ("x\\,y", "end\\\\", "z\\\n")},
    "separator": {"table": {"separator": "::"}, "words": ("a:b", "::x")},
    "no header": {"table": {"columns": ("a", "b", "c")}},
    "blank": {"words": ("x\n", "y\n\n")},
    "returns": {"end": "\r"},
    "short": {"words": ("x,y", "z")},
}


@pytest.mark.parametrize("name", DIALECTS)
def test_bundles_hold_the_rows_and_lines_of_the_file_wherever_it_is_divided(tmp_path, name):
    dialect, rng = DIALECTS[name], random.Random(name)
    options = dialect.get("table", {})
    words = ("1", "", "pear", *dialect.get("words", ()))
    separator, end = options.get("separator", ","), dialect.get("end", "\n")
    rows = [separator.join([f"n{n}", rng.choice(words), rng.choice(words)]) for n in range(40)]
    text = end.join([*([] if "columns" in options else [separator.join("abc")]), *rows])
    path = tmp_path / "t.csv"
    path.write_bytes((dialect.get("mark", "") + text).encode(options.get("encoding", "utf-8")))
    table, size = Table(path="t.csv", **options), path.stat().st_size
    whole = _read([Bundle(str(path))], table)
    assert len(whole[0]) > 10
    for width in range(13, size, 29):
        starts = [0, *range(max(width, 20), size, width)]  # the header stands in the first
        bundles = [Bundle(str(path), *ends) for ends in zip(starts, [*starts[1:], None], strict=True)]
        rows, malformed, lines = _read(bundles, table)
        assert (rows, malformed) == whole[:2]
        known = [(a, b) for a, b in zip(lines, whole[2], strict=True) if None not in (a, b)]
        assert all(a == b for a, b in known)
        assert len(known) == len(lines) or name in ("blank", "escape")


def _read(bundles: list[Bundle], table: Table) -> tuple[list[tuple], int, list[int | None]]:
    """The rows, the number of malformed lines, and the line of each row and malformed line in the file."""
    rows, malformed, samples, extents = [], 0, [], {}
    for index, bundle in enumerate(bundles):
        reader, count = BundleReader(bundle, table, ["c", "a", "b"]), 0
        for batch in reader:
            lines = [None] * len(batch.rows) if batch.lines is None else batch.lines.tolist()
            samples += [Sample(index, count + n, line, "", "", "") for n, line in enumerate(lines)]
            samples += [Sample(index, count, bad.line, "", bad.text, bad.problem) for bad in batch.samples]
            rows += [tuple(row.values()) for row in batch.rows.to_pylist()]
            malformed, count = malformed + batch.malformed, count + len(batch.rows)
        extents[index] = Extent(count, reader.lines)
    placed = [sample for sample in in_files(samples, bundles, extents) if not sample.value]
    assert [sample.row for sample in placed] == list(range(len(rows)))
    return rows, malformed, [sample.line for sample in placed]


def test_rows_and_lines_are_counted_from_the_start_of_their_own_file():
    bundles = [Bundle("a"), Bundle("b", 0, 9), Bundle("b", 9, 18), Bundle("b", 18), Bundle("c")]
    extents = dict(enumerate([Extent(5, 6), Extent(3, 4), Extent(2, None), Extent(9, 9), Extent(1, None)]))
    samples = [Sample(index, 1, 2, "t", "", "") for index in range(5)]
    placed = [sample[:3] for sample in in_files(samples, bundles, extents)]
    assert placed == [(0, 1, 2), (1, 1, 2), (1, 4, 6), (1, 6, None), (2, 1, 2)]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ('u,i\n1,a\n2,"b\n3,c"\n4,d\n', {}, r"t\.csv, line 3: a quote in column 'i' is not closed"),
        ('u,i\n1,a\n2,"b\\" c"\n4,d\n', {}, r"t\.csv, line 3: a backslash stands before a quote"),
        ("u,i\n1,a\n2,caf\xe9\n4,d\n", {}, r"t\.csv: is not utf-8 text"),
    ],
)
def test_the_errors_of_a_bundle_are_those_of_the_file(tmp_path, text, options, message):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode("latin-1"))
    table, found = InteractionTable(path="t.csv", user="u", item="i", **options), []
    for first in range(5, len(text)):
        bundles = [Bundle(str(path), 0, first), Bundle(str(path), first)]
        with pytest.raises(TableError, match=message) as error:
            list(itertools.chain.from_iterable(BundleReader(bundle, table, ["u", "i"]) for bundle in bundles))
        found.append(str(error.value))
    assert set(found) == {_error(str(path), table)}


def _error(path: str, table: Table) -> str:
    with pytest.raises(TableError) as error:
        list(BundleReader(Bundle(path), table, table.ids))
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "options", "is_divided"),
    [
        ("t.csv", "u,i\n" + "a,b\n" * 50, {}, True),
        ("t.csv", "u,i\n" + "7,007\n" * 50, {}, True),
        ("t.csv", "u,i\n" + "a,b\n" * 50, {"multiline": True}, False),
        ("t.csv", "u,i\n" + "a,8.0\n" * 50, {}, False),
        ("t.csv", "u,i\n" + "a,\n" * 50, {}, False),
        ("t.csv", "\ufeffu,i\n" + "a,b\n" * 50, {"encoding": "utf-16-le"}, False),
        ("t.csv.gz", "u,i\n" + "a,b\n" * 50, {}, False),
        ("t.jsonl", '{"u": "a", "i": "b"}\n' * 50, {}, False),
    ],
)
def test_which_files_are_divided(tmp_path, monkeypatch, name, text, options, is_divided):
    monkeypatch.setattr(dividing, "BUNDLE_BYTES", 40)
    path, table = tmp_path / name, InteractionTable(path=name, user="u", item="i", **options)
    path.write_bytes(text.encode(table.encoding))
    bundles = divided([str(path)], table)
    assert (len(bundles) > 1) == is_divided
    assert (bundles[0].start, bundles[-1].end) == (0, None)
    assert all(one.end == other.start for one, other in itertools.pairwise(bundles))


def test_a_gigabyte_is_read_in_at_least_four_bundles(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("u,i\n" + "a,b\n" * (1 << 19))
    with path.open("r+b") as file:
        file.truncate(1 << 30)  # a sparse file, of which only the head is read
    assert len(divided([str(path)], InteractionTable(path="t.csv", user="u", item="i"))) >= 4


def test_an_ingest_of_bundles_writes_what_one_of_files_writes(tables, ingested, tmp_path, monkeypatch):
    """Examples, counts, and the lines of bad rows."""
    monkeypatch.setattr(dividing, "BUNDLE_BYTES", 4000)
    run = run_ingest(load_config(write_config(tables)), tmp_path / "out")
    assert len(divided([str(tables / "interactions.csv")], InteractionTable(path="t.csv"))) > 5
    report = (run.folder / "ingest.json").read_text()
    assert report == (ingested.folder / "ingest.json").read_text()
    assert json.loads(report)["samples"][-1]["line"] > 400
    for split in ("train", "eval", "test", "items"):
        assert sorted(map(str, run.examples(split))) == sorted(map(str, ingested.examples(split)))
