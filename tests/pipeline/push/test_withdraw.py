from pathlib import Path

import pytest

from pipeline.push.withdraw import WithdrawError, version_numbers, withdraw, withdrawn_folder
from serving.client import RecommenderClient, Request
from serving.manifest import MANIFEST, make_manifest
from tests.serving.models import eventually, save_model, serve


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A base path with versions 3, 5 and 12, and what is none."""
    folder = tmp_path / "recommender"
    for name in ("3", "5", "12", ".13.part", "notes"):
        (folder / name).mkdir(parents=True)
        (folder / name / "saved_model.pb").write_text(name)
    return folder


def test_the_newest_is_moved_aside_whole(base: Path) -> None:
    assert withdraw(str(base)) == [12]
    assert version_numbers(base) == [3, 5]
    assert (withdrawn_folder(base) / "12" / "saved_model.pb").read_text() == "12"
    assert withdraw(str(base)) == [5]
    assert version_numbers(withdrawn_folder(base)) == [5, 12]


def test_back_to_a_version_the_newest_goes_last(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda self, target: (moved.append(self.name), rename(self, target))[1])
    assert withdraw(str(base), to=3) == [5, 12]
    assert moved == ["5", "12"]
    assert version_numbers(base) == [3]


def test_what_cannot_be_withdrawn_is_refused_with_the_remedy(base: Path, tmp_path: Path) -> None:
    withdraw(str(base))
    for to, words in (
        (4, "there is no version 4 in .*Found: 3, 5"),
        (5, "version 5 is the newest in .* already"),
        (12, f"version 12 was withdrawn. This brings it back: mv {base}.withdrawn/12 {base}/"),
    ):
        with pytest.raises(WithdrawError, match=words):
            withdraw(str(base), to=to)
    with pytest.raises(WithdrawError, match="holds no version"):
        withdraw(str(tmp_path / "nothing"))
    with pytest.raises(WithdrawError, match="model config file"):
        withdraw("gs://bucket/models")
    assert version_numbers(base) == [3, 5]


def test_the_only_version_stays_unless_asked(base: Path) -> None:
    withdraw(str(base), to=3)
    with pytest.raises(WithdrawError, match=r"version 3 is the only one .* `--even-the-last`"):
        withdraw(str(base))
    assert version_numbers(base) == [3]
    assert withdraw(str(base), even_the_last=True) == [3]
    assert version_numbers(base) == []


def test_a_damaged_version_is_not_gone_back_to(base: Path) -> None:
    for version in ("3", "5"):
        (base / version / MANIFEST).write_text(make_manifest(str(base / version)))
    (base / "5" / "saved_model.pb").write_text("cut")
    with pytest.raises(WithdrawError, match=rf"version 5 would answer then, and is damaged: {base}/5/saved_model.pb"):
        withdraw(str(base))
    assert version_numbers(base) == [3, 5, 12]
    assert withdraw(str(base), to=3) == [5, 12]


def test_a_server_answers_from_the_version_before(tmp_path: Path) -> None:
    base_path = tmp_path / "recommender"
    base_path.mkdir()
    for version, offset in ((1, 0.0), (2, 100.0)):
        save_model(base_path / str(version), offset)
    with serve(base_path) as server, RecommenderClient(server.address, timeout=30.0) as client:

        def like() -> float:
            return client.recommend(Request(k=1))[0].scores["like"]

        assert like() > 50
        assert withdraw(str(base_path)) == [2]
        eventually(lambda: like() < 50)
        eventually(lambda: client.metadata().version == 1)
