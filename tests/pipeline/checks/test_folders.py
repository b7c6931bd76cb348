from pathlib import Path

import pytest

from config import ConfigError
from pipeline.checks.files import why_unwritable
from pipeline.cli import common, main
from pipeline.runners.local import run_pipeline

SHOP = """\
name: shop
data:
  folder: .
  interactions: {path: events.csv, time: time}
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a table and a file where a folder would have to be."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.csv").write_text("user_id,item_id,time\n1,2,3\n")
    (tmp_path / "file").write_text("")
    return tmp_path


@pytest.mark.parametrize("command", [["check"], ["run", "--config"], ["crossval", "--config"]], ids=lambda c: c[0])
@pytest.mark.parametrize(
    ("section", "printed"),
    [
        (
            "pipeline: {root: file}",
            "`pipeline.root`: should be a folder that can be written to: {folder}/file is not a",
        ),
        ("pipeline: {root: file/runs}", "`pipeline.root`: should be a folder that can be written to: {folder}/file is"),
        (f"pipeline: {{root: {'r' * 300}}}", "rrr... (File name too long)"),
        ("serving: {folder: file/models}", "`serving.folder`: should be a folder that can be written to: {folder}/fi"),
    ],
)
def test_a_folder_that_cannot_be_written_is_reported_before_any_work(shop, capfd, command, section, printed):
    (shop / "shop.yaml").write_text(f"{SHOP}{section}\n")
    assert main([*command, "shop.yaml"]) == common.USAGE
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: shop.yaml:5: ")
    assert printed.format(folder=shop) in err
    assert err.count("\n") == 1


def test_a_folder_that_turns_out_not_to_be_writable_is_reported(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(ConfigError, match=r"`pipeline.root`: .* cannot be written to \(Is a directory\)"):
        run_pipeline(lambda: None, tmp_path)


def test_what_can_be_made_is_no_problem(tmp_path):
    assert why_unwritable(str(tmp_path / "a" / "b")) == ""
    assert why_unwritable("gs://bucket/runs") == ""


def test_compiling_into_no_folder_is_reported(shop, capfd):
    (shop / "shop.yaml").write_text(SHOP)
    assert main(["compile", "--config", "shop.yaml", "--output", "file/shop.json"]) == common.USAGE
    printed = f"`--output` should be in a folder that can be written to: {shop}/file is not a folder"
    assert printed in capfd.readouterr().err
