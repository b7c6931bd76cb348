"""The published forms of data sets: separators, escapes, headers and encodings of CSV."""

import pytest

from config.data import InteractionTable, Table
from pipeline.ingest import encodings
from pipeline.ingest.headers import check_has_rows
from pipeline.ingest.tables import TableError, table_files
from tests.pipeline.ingest.read_tables import batches, column_names, config, events, items, rows

RATINGS = [("1", "29", "5", "978300760"), ("1", "661", "3", "978302109"), ("2", "1", "4", "978301968")]
NAMES = ["UserID", "MovieID", "Rating", "Timestamp"]


@pytest.mark.parametrize(
    ("path", "separator", "options"),
    [
        ("ratings.dat", "::", {"format": "csv"}),  # MovieLens-1M and -10M
        ("u.data", "\t", {"format": "csv"}),  # MovieLens-100K
        ("ratings.tsv", None, {}),
        ("ratings.csv", "§", {}),
        ("ratings.txt", " | ", {"format": "csv", "quote": None}),
        ("ratings.csv", "::", {"encoding": "utf-16"}),
    ],
)
def test_files_without_header(tmp_path, path, separator, options):
    mark = separator or "\t"
    text = "".join(f"{mark.join(row)}\n" for row in RATINGS)
    (tmp_path / path).write_bytes(text.encode(options.get("encoding", "utf-8")))
    options = options | ({"separator": separator} if separator else {})
    found = batches(tmp_path, Table(path=path, columns=NAMES, **options))
    assert [tuple(row.values()) for batch in found for row in batch.rows.to_pylist()] == RATINGS
    assert found[0].lines.tolist() == [1, 2, 3]


def test_movies_as_published(tmp_path):
    text = "1::\"Great\" Été, L' (1995)::Animation|Children's\n2::Jumanji (1995)::Adventure\n"
    (tmp_path / "movies.dat").write_bytes(text.encode("latin-1"))
    table = {"path": "movies.dat", "format": "csv", "separator": "::", "quote": None, "encoding": "latin-1"}
    features = {"item": [{"name": "genres", "kind": "multi_valued"}, {"name": "title", "kind": "text"}]}
    found = config(tmp_path, {}, table | {"columns": ["i", "title", "genres"]}, features=features)
    assert [(row["id"], row["item_title"], row["item_genres"]) for row in items(found)] == [
        ("1", '"Great" Été, L\' (1995)', ["Animation", "Children's"]),
        ("2", "Jumanji (1995)", ["Adventure"]),
    ]


def test_separators_between_quotes_and_over_the_ends_of_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(encodings, "_PART", 7)
    (tmp_path / "t.csv").write_text('a::b::c\n"x::y"::::3\n:::4::5\n1::2\n')
    found = batches(tmp_path, Table(path="t.csv", separator="::"))
    assert [tuple(row.values()) for batch in found for row in batch.rows.to_pylist()] == [
        ("x::y", "", "3"),
        ("", ":4", "5"),
    ]
    assert found[-1].samples[0][:3] == (4, "1::2", "has 2 values, the header 3")


@pytest.mark.parametrize("part", [5, 1 << 20])
def test_backslashes_before_quotes_and_separators(tmp_path, monkeypatch, part):
    monkeypatch.setattr(encodings, "_PART", part)
    lines = ["a,b", r'1,"He said \"hi, you\""', r"2,x\,y", r"3,\N", r"4,a\\nb", r"5,a\tb\nc", r"6,\\\N"]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    expected = ['He said "hi, you"', "x,y", None, r"a\nb", "a\tb c", "\\\\N"]
    assert [b for _, b in rows(tmp_path, "t.csv", escape="\\")] == expected


@pytest.mark.parametrize(
    "value",
    [r'"He said \"hi\", twice"', r'"\"hi\" he said"', r'"5\" disk"'],
)
def test_backslashes_that_were_not_announced_are_named(tmp_path, value):
    (tmp_path / "t.csv").write_text(f"a,b\n1,2\n3,{value}\n")
    with pytest.raises(TableError, match=r"t\.csv, line 3: .*`escape: "):
        rows(tmp_path, "t.csv")


def test_backslashes_at_the_end_of_values_are_innocent(tmp_path):
    (tmp_path / "t.csv").write_text('a,b\n"C:\\",2\n"x","C:\\"\n5\\" disk,"a ""b\\"""\n')
    assert rows(tmp_path, "t.csv") == [("C:\\", "2"), ("x", "C:\\"), ('5\\" disk', 'a "b\\"')]


def test_decimal_commas(tmp_path):
    (tmp_path / "log.csv").write_text("u;i;t;stars\n1;2;3;4,5\n1;3;4;-1,25\n1;4;5;1.234,5\n1;5;6;7\n")
    tasks = {"stars": {"kind": "regression", "label": "stars"}}
    features = {"outcome": [{"name": "stars", "kind": "numeric"}]}
    found, counts = events(config(tmp_path, {"separator": ";", "decimal": ","}, tasks=tasks, features=features))
    assert [(row["label_stars"], row["outcome_stars"]) for row in found] == [(4.5, 4.5), (-1.25, -1.25), (7, 7)]
    assert counts["interactions", "dropped", "unparsable stars"] == 1  # is the point for thousands?


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("u,i,i\n1,2,3\n", {}, "the header names the column 'i' twice"),
        (
            "1,29,5\n1,30,5\n",
            {},
            r"has no column 'u', 'i'\. The first line looks like data \('1', '29', '5'\).*`columns`",
        ),
        ("2020-09-22,a,b\n2020-09-22,b,c\n", {}, "The first line looks like data"),
        ("u;i\n1;2\n", {}, r"The first line is one value that holds \";\": is that the table's `separator`\?"),
        ("u\ti\n1\t2\n", {}, r"holds \"\\t\""),
        ("u,i\n1,2\n", {"columns": ["u", "i"]}, "its first line is a header"),
        ("a,b\n", {"columns": ["u", "i", "t"]}, r"line 1 has 2 values, `columns` 3"),
        ("u,i\n1,2,\n3,4,\n", {}, r"line 2 has 3 values, the header 2, and so on\. Do the rows end with ','"),
        ("u,i\n", {}, "has no rows"),
        ("", {}, "is empty"),
        ("u\0,\0i\0\n\0", {}, "holds zero bytes: is it UTF-16"),
        ("u\x1fi::1\n", {"separator": "::"}, r"holds the character U\+001F"),
    ],
)
def test_what_a_header_tells_before_any_work(tmp_path, text, options, message):
    (tmp_path / "t.csv").write_text(text)
    table = InteractionTable(path="t.csv", user="u", item="i", **options)
    with pytest.raises(TableError, match=message):
        _check_and_read(tmp_path, table)


def _check_and_read(folder, table):
    column_names(str(folder), table)
    check_has_rows(table_files(str(folder), table), table)
    batches(folder, table, ["u", "i"])


def test_a_column_that_stands_twice_and_is_not_read_does_no_harm(tmp_path):
    (tmp_path / "t.csv").write_text("u,x,x,i\n1,2,3,4\n")
    assert rows(tmp_path, "t.csv", ["u", "i"]) == [("1", "4")]


def test_columns_are_for_csv(tmp_path):
    (tmp_path / "t.jsonl").write_text("{}\n")
    with pytest.raises(TableError, match="is jsonl, which names its columns itself"):
        batches(tmp_path, Table(path="t.jsonl", columns=["a"]))
