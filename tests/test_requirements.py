"""requirements.lock: pip checks every file's hash, and refuses all where one line has none."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_line_has_hashes():
    entries = (ROOT / "requirements.lock").read_text().replace("\\\n", "").splitlines()
    without = [entry for entry in entries if "--hash=sha256:" not in entry]
    assert not without, "`make lock` writes them"
