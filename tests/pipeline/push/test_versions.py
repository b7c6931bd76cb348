import errno
import fcntl
import os
import shutil
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import tensorflow as tf

from pipeline.push.versions import next_version, push_version
from serving.manifest import manifest_fault


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text("graph")
    (folder / "variables" / "variables.index").write_text("weights")
    return folder


def test_a_version_is_there_whole_or_not_at_all(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path / "serving"
    seen: list[list[str]] = []
    rename = Path.rename

    def look_then_rename(source: Path, target: str) -> Path:
        seen.append([path.name for path in base.iterdir()])
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", look_then_rename)
    version, path = push_version(str(model), str(base))
    assert seen == [[f".{version}.part"]]
    assert [p.name for p in base.iterdir()] == [str(version)]
    assert Path(path, "saved_model.pb").read_text() == "graph"
    assert Path(path, "variables", "variables.index").read_text() == "weights"


def test_versions_rise_even_when_the_clock_is_behind(tmp_path: Path, model: Path) -> None:
    base = tmp_path / "serving"
    future = int(time.time()) + 10_000
    (base / str(future)).mkdir(parents=True)
    (base / "notes").mkdir()
    assert next_version(str(base)) == future + 1
    assert [push_version(str(model), str(base))[0] for _ in range(2)] == [future + 1, future + 2]
    assert {p.name for p in base.iterdir()} == {"notes", *(str(future + i) for i in range(3))}


def test_the_number_of_a_withdrawn_version_is_not_used_again(tmp_path: Path) -> None:
    future = int(time.time()) + 10_000
    (tmp_path / "serving" / "7").mkdir(parents=True)
    (tmp_path / "serving.withdrawn" / str(future)).mkdir(parents=True)
    assert next_version(str(tmp_path / "serving")) == future + 1


def other_file_system(source: Path, target: Path) -> None:
    raise OSError(errno.EXDEV, "Invalid cross-device link")


def test_a_push_that_fails_leaves_nothing_behind(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copyfile
    copied: list[Path] = []

    def full_disk(source: Path, target: Path) -> None:
        if copied:
            raise OSError(errno.ENOSPC, "No space left on device")
        copied.append(target)
        copy(source, target)

    monkeypatch.setattr(os, "link", other_file_system)
    monkeypatch.setattr(shutil, "copyfile", full_disk)
    with pytest.raises(OSError, match="No space left"):
        push_version(str(model), str(tmp_path / "serving"))
    assert list((tmp_path / "serving").iterdir()) == []


@pytest.mark.parametrize("has_locks", [True, False])
def test_pushes_in_the_same_second_all_arrive(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, has_locks: bool
) -> None:
    def no_lock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    if not has_locks:
        monkeypatch.setattr(fcntl, "flock", no_lock)
    _push_at_once(model, str(tmp_path / "serving"), monkeypatch, 1000)
    assert {path.name for path in (tmp_path / "serving").iterdir()} == {str(1000 + i) for i in range(6)}


def test_pushes_to_an_object_store_in_the_same_second_all_arrive(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = f"ram://{uuid.uuid4().hex}"
    pushed = _push_at_once(model, base, monkeypatch, 1000)
    assert all(manifest_fault(path) == "" for path in pushed)
    assert len(set(pushed)) == 6


def _push_at_once(model: Path, base: str, monkeypatch: pytest.MonkeyPatch, now: int) -> list[str]:
    """Six pushes, all of which have the same version in mind."""
    monkeypatch.setattr(time, "time", lambda: now)
    together = Barrier(6)

    def push(_: int) -> str:
        together.wait()
        return push_version(str(model), base)[1]

    with ThreadPoolExecutor(6) as pool:
        return list(pool.map(push, range(6)))


def test_what_a_killed_push_left_goes_with_the_next(tmp_path: Path, model: Path) -> None:
    base = tmp_path / "serving"
    (base / ".77.part" / "model").mkdir(parents=True)
    (base / ".77.part" / "model" / "saved_model.pb").write_text("half")
    version, _ = push_version(str(model), str(base))
    assert [path.name for path in base.iterdir()] == [str(version)]


def test_what_a_killed_push_left_on_an_object_store_goes_a_day_later(model: Path) -> None:
    base = f"ram://{uuid.uuid4().hex}"
    now = int(time.time())
    for old in (now - 100_000, now - 50_000):
        tf.io.gfile.makedirs(f"{base}/.{old}.part")
        tf.io.gfile.makedirs(f"{base}/{old}")
        for name in (f".{old}.part/claim", f"{old}/assets"):
            with tf.io.gfile.GFile(f"{base}/{name}", "w") as file:
                file.write("x")
    version, _ = push_version(str(model), base)
    found = {name.rstrip("/") for name in tf.io.gfile.listdir(base)}
    assert found >= {str(version), str(now - 50_000), f".{now - 50_000}.part"}
    assert not found & {str(now - 100_000), f".{now - 100_000}.part"}


def test_the_manifest_is_of_what_was_copied(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copyfile

    def cut(source: Path, target: Path) -> None:
        copy(source, target)
        if source.name == "variables.index":
            target.write_text("wei")

    monkeypatch.setattr(os, "link", other_file_system)
    monkeypatch.setattr(shutil, "copyfile", cut)
    _, path = push_version(str(model), str(tmp_path / "serving"))
    assert "variables/variables.index is not what was pushed" in str(manifest_fault(path))
