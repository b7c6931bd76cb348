from pathlib import Path

import pytest

from config import load_config
from pipeline.cli import common, main
from pipeline.cli.common import plain_console
from pipeline.cli.versions import outcomes, version_states
from serving.manifest import MANIFEST, make_manifest
from serving.server.flags import parse_flags, read_models

CONFIG = """
name: shop
data:
  folder: shop
  interactions: {{path: events.csv, time: time}}
serving: {{folder: {folder}/models}}
pipeline: {{root: {folder}/runs}}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A configuration whose serving folder holds versions 5 and 7, of which no metadata know."""
    for version in ("5", "7"):
        (tmp_path / "models" / version).mkdir(parents=True)
    path = tmp_path / "shop.yaml"
    path.write_text(CONFIG.format(folder=tmp_path))
    return str(path)


def test_states_say_what_servers_see(tmp_path: Path) -> None:
    for name in ("models/5", "models/7", "models.withdrawn/9"):
        (tmp_path / name).mkdir(parents=True)
    states = version_states(str(tmp_path / "models"), [3, 7, 9])
    assert states == {9: "withdrawn", 7: "newest", 5: "kept", 3: "removed"}
    assert list(states) == [9, 7, 5, 3]
    assert version_states("gs://bucket/models", [3, 7]) == {7: "pushed", 3: "pushed"}


def test_versions_and_rollback(config: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["versions", "--config", config]) == common.OK
    first, second = (line.split() for line in capfd.readouterr().out.splitlines() if "not in the metadata" in line)
    assert (first[:2], second[:2]) == (["7", "newest"], ["5", "kept"])
    assert main(["rollback", "--config", config]) == common.OK
    assert capfd.readouterr().out == (
        f"withdrew version 7 to {tmp_path}/models.withdrawn/7\nversion 5 in {tmp_path}/models is the newest now\n"
    )
    assert main(["rollback", "--config", config]) == common.FAILED
    assert "version 5 is the only one" in capfd.readouterr().err
    assert main(["versions", "--config", config]) == common.OK
    assert "withdrawn" in capfd.readouterr().out


def test_damaged_versions_are_named(config: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    newest = tmp_path / "models" / "7"
    (newest / "saved_model.pb").write_text("graph")
    (newest / MANIFEST).write_text(make_manifest(str(newest)))
    (newest / "saved_model.pb").write_text("gra")
    assert main(["versions", "--config", config]) == common.OK
    shown = capfd.readouterr().out
    assert f"version 7 is damaged: {newest}/saved_model.pb is not what was pushed: its SHA-256 is another than" in shown
    assert "pushed without manifest.sha256, so not checked: 5\n" in shown
    assert main(["serve", "--config", config]) == common.FAILED
    assert f"error: version 7 is damaged: {newest}/saved_model.pb is not" in capfd.readouterr().err


def test_metrics_of_eval_and_test_stand_side_by_side(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = {("test", "ndcg@10"): 0.15, ("eval", "ndcg@10"): 0.17, ("test", "rating/rmse"): 0.9, ("test", "hr@10"): 0.3}
    table = outcomes(load_config(config), {7: "newest", 5: "kept"}, {}, {7: found})
    assert [column.header for column in table.columns[5:]] == [
        *("eval:\nndcg@10", "test:\nndcg@10", "test:\nrating/rmse", "run")
    ]
    plain_console().print(table)
    first, second = (line.split() for line in capsys.readouterr().out.splitlines() if "not in the metadata" in line)
    assert (first[-3:], second[-1]) == (["0.170", "0.150", "0.900"], "metadata")


def test_the_model_config_file_is_printed(config: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = Path(config)
    log = "log_requests: {folder: " + str(tmp_path) + "/logs, sampling_rate: 0.25}"
    path.write_text(path.read_text().replace("serving: {", "serving: {" + log + ", "))
    assert main(["serve", "--config", config, "--print-models"]) == common.OK
    (tmp_path / "models.config").write_text(capfd.readouterr().out)
    (model,) = read_models(parse_flags([f"--model_config_file={tmp_path}/models.config"]))
    assert (model.name, model.base_path) == ("recommender", f"{tmp_path}/models")
    assert model.logging_config.log_collector_config.filename_prefix == f"{tmp_path}/logs/recommender"
    assert model.logging_config.sampling_config.sampling_rate == 0.25
    path.write_text(path.read_text().replace(str(tmp_path) + "/logs", "gs://bucket/logs"))
    assert main(["serve", "--config", config]) == common.USAGE
    assert "`serving.log_requests.folder`: should be a folder of a file system" in capfd.readouterr().err


def test_versions_of_nothing(config: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for version in ("5", "7"):
        (tmp_path / "models" / version).rmdir()
    assert main(["versions", "--config", config]) == common.FAILED
    assert "no version was pushed to" in capfd.readouterr().err
