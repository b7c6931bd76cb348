import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.runners.metadata import metadata_problem

ASK = "import sys; from pathlib import Path; from pipeline.runners.metadata import metadata_problem as p; "
NOBODY = 65534


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "metadata.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table Artifact (id integer primary key, uri text)")
        rows = [(number, f"uri {number}" * 20) for number in range(1000)]
        connection.executemany("insert into Artifact values (?, ?)", rows)
    return path


def test_what_is_whole_or_not_there_yet_is_no_problem(tmp_path: Path, database: Path) -> None:
    assert metadata_problem(database) == ""
    assert metadata_problem(tmp_path / "none") == ""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("select count(*) from Artifact").fetchone() == (1000,)


@pytest.mark.parametrize("how", ["half", "its last page missing", "garbage", "garbage behind the head", "text"])
def test_a_damaged_file_is_named_with_the_remedy(database: Path, how: str) -> None:
    data = database.read_bytes()
    database.write_bytes(
        {
            "half": data[: len(data) // 2],
            "its last page missing": data[:-4096],
            "garbage": os.urandom(len(data)),
            "garbage behind the head": data[:100] + b"\xff" * (len(data) - 100),
            "text": b"no database",
        }[how]
    )
    for is_written in (True, False):
        problem = metadata_problem(database, is_written)
        assert problem.startswith(f"{database}: the metadata are damaged ("), problem
        assert f"`mv {database} {database}.damaged`. A new one is" in problem


def test_the_journal_of_an_unfinished_write_is_moved_too(database: Path) -> None:
    database.write_bytes(b"no database")
    journal = Path(f"{database}-journal")
    journal.write_bytes(b"\0" * 600)
    assert f"`mv {database} {database}.damaged` && `mv {journal} {journal}.damaged`" in metadata_problem(database)


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    assert metadata_problem(tmp_path).startswith(f"{tmp_path} should be the metadata's SQLite file, and is none")


def test_a_file_that_another_program_holds_is_no_damage(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.runners.metadata._PATIENCE", 0.1)
    with closing(sqlite3.connect(database)) as other:
        other.execute("begin exclusive")
        problem = metadata_problem(database)
    assert problem == (
        f"{database}: another program holds the metadata (database is locked). End it (`fuser {database}` names it) "
        "and run again"
    )


def test_a_file_that_may_not_be_written_is_no_damage(database: Path) -> None:
    """As a user for whom permissions count, whoever runs the tests."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(shutil.copy(database, folder))
        path.chmod(0o444)
        ask = f"print(p(Path({str(path)!r}), True)); print([p(Path({str(path)!r}), False)])"
        command = [sys.executable, "-c", f"{ASK} import os; os.getuid() or os.setuid({NOBODY}); {ask}"]
        written, read = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert written.startswith(f"{path}: the metadata cannot be opened (attempt to write a readonly database)")
    assert read == "['']"
