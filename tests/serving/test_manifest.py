import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from serving.manifest import MANIFEST, make_manifest, manifest_fault

FILES = {"saved_model.pb": "graph", "assets/item_id": "a\nb\nc\n", "variables/variables.index": ""}


@pytest.fixture
def version(tmp_path: Path) -> Path:
    folder = tmp_path / "7"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / MANIFEST).write_text(make_manifest(str(folder)))
    return folder


def test_a_manifest_is_what_sha256sum_reads(version: Path) -> None:
    assert (version / MANIFEST).read_text() == (
        "# SHA-256 of 3 files\n"
        "880553fca8fcea94e325ee2cfb48e5a985cc797f39a14cc6d3cedecfeb2ae4d2  assets/item_id\n"
        "eef93e1d14482804277fca0172464032d1a4fdbcc338524059fa1e861454ad4d  saved_model.pb\n"
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  variables/variables.index\n"
    )
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", MANIFEST], cwd=version, capture_output=True, text=True
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert manifest_fault(str(version)) == ""


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda v: (v / "assets/item_id").write_text("a\nb\n"), "assets/item_id is not what was pushed"),
        (lambda v: (v / "assets/item_id").unlink(), "assets/item_id is missing, and manifest.sha256 lists it"),
        (lambda v: (v / "variables/variables.index").write_text("x"), "variables/variables.index is not what was"),
        (lambda v: (v / MANIFEST).write_text(""), "manifest.sha256 is damaged"),
        (lambda v: (v / MANIFEST).write_bytes(b"\xff\x00" * 40), "manifest.sha256 is damaged"),
        (
            lambda v: cut_lines(v / MANIFEST, 3),
            "manifest.sha256 is damaged: it should begin with `# SHA-256 of N files`",
        ),
    ],
)
def test_the_first_file_that_is_not_as_it_was_is_named(
    version: Path, change: Callable[[Path], object], fault: str
) -> None:
    change(version)
    assert f"{version}/{fault}" in str(manifest_fault(str(version)))


def cut_lines(file: Path, count: int) -> None:
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:count]))


def test_without_a_manifest_nothing_is_known_and_further_files_may_be_there(version: Path) -> None:
    (version / "assets.extra").mkdir()
    (version / "assets.extra" / "tf_serving_warmup_requests").write_text("by hand")
    assert manifest_fault(str(version)) == ""
    (version / MANIFEST).unlink()
    assert manifest_fault(str(version)) is None


def test_an_object_store_is_read_too(version: Path) -> None:
    folder = f"ram://{uuid.uuid4().hex}/7"
    for name in (*FILES, MANIFEST):
        tf.io.gfile.makedirs(f"{folder}/{name}".rsplit("/", 1)[0])
        tf.io.gfile.copy(str(version / name), f"{folder}/{name}")
    assert make_manifest(folder) == (version / MANIFEST).read_text()
    assert manifest_fault(folder) == ""
    with tf.io.gfile.GFile(f"{folder}/assets/item_id", "w") as file:
        file.write("a\n")
    assert manifest_fault(folder) == (
        f"{folder}/assets/item_id is not what was pushed: its SHA-256 is another than manifest.sha256 has"
    )
