"""No file that a run leaves, and no line that it prints, holds the id of a user whose column is personal."""

import gzip
from collections.abc import Iterator
from pathlib import Path

from serving.client import hashed
from tests.e2e.conftest import KEY, RAW_USER, Passes


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The path in the folder and the bytes of each file, decompressed."""
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            yield str(path.relative_to(folder)), gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def test_raw_ids_of_users_are_in_no_file_and_no_line(passes: Passes) -> None:
    known, holding = hashed(f"{RAW_USER}3", KEY.encode()).encode(), set()
    for path, content in _contents(passes.home.runs):
        assert RAW_USER.encode() not in content, path
        assert KEY.encode() not in content, path
        if known in content:
            holding.add(path)
    for place in ("InteractionExampleGen", "Transform", "Trainer"):  # a proof that the scan would find an id
        assert any(place in path for path in holding), holding
    for finished in (passes.cold, passes.cached, passes.new_span):
        assert RAW_USER not in finished.output


def test_other_users_of_the_machine_read_nothing(passes: Passes) -> None:
    for folder in (passes.home.runs, passes.home.runs / "logs", passes.home.runs / "reports"):
        assert folder.stat().st_mode & 0o027 == 0, folder
    version = passes.home.serving / str(passes.versions[0][0])
    for path in (passes.home.runs / "serving", passes.home.serving, version, version / "saved_model.pb"):
        assert path.stat().st_mode & 0o040, f"the server's group reads {path}"
