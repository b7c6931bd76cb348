import time
from pathlib import Path

import pytest
from tfx.dsl.io import fileio

from pipeline.push.versions import next_version, push_version


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
    rename = fileio.rename

    def look_then_rename(source: str, target: str) -> None:
        seen.append([path.name for path in base.iterdir()])
        rename(source, target)

    monkeypatch.setattr(fileio, "rename", look_then_rename)
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


def test_a_push_that_fails_leaves_nothing_behind(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = fileio.copy
    copied: list[str] = []

    def full_disk(source: str, target: str, overwrite: bool = False) -> None:
        if copied:
            raise OSError(28, "No space left on device")
        copied.append(target)
        copy(source, target, overwrite)

    monkeypatch.setattr(fileio, "copy", full_disk)
    with pytest.raises(OSError, match="No space left"):
        push_version(str(model), str(tmp_path / "serving"))
    assert list((tmp_path / "serving").iterdir()) == []
