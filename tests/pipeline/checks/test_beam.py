import socket

import pytest

from config import parse_config
from pipeline.checks import beam
from pipeline.checks.beam import check_beam
from pipeline.cli import common, main


def _problems(section: str, folder: str = "data", root: str = "runs"):
    data = f"{{folder: '{folder}', interactions: {{path: log.csv}}}}"
    return list(check_beam(parse_config(f"{{name: x, data: {data}, pipeline: {{root: '{root}', beam: {section}}}}}")))


def test_a_job_service_has_to_answer():
    with socket.socket() as server:
        server.bind(("localhost", 0))
        port = server.getsockname()[1]
        section = f"{{runner: portable, endpoint: 'localhost:{port}', worker_pool: 'localhost:1'}}"
        ((location, message),) = _problems(section)
        assert location == ("pipeline", "beam", "endpoint")
        assert message.startswith("should be a Beam job service. Nothing answers there: ")
        server.listen()
        assert _problems(section) == []


def test_beams_own_job_server_needs_java(monkeypatch):
    section = "{runner: flink, master: 'flink:8081', image: I}"
    monkeypatch.setattr(beam.shutil, "which", lambda name: None)
    ((location, message),) = _problems(section)
    assert location == ("pipeline", "beam", "master")
    assert "needs Java on this machine" in message
    monkeypatch.setattr(beam.shutil, "which", lambda name: "/usr/bin/java")
    assert _problems(section) == []


def test_dataflow_finds_nothing_on_this_machine():
    section = "{runner: dataflow, project: p, region: r, temp_location: 'gs://b/t', image: I}"
    assert [location for location, _ in _problems(section)] == [("data", "folder"), ("pipeline", "root")]
    assert _problems(section, "gs://b/data", "gs://b/runs") == []


@pytest.mark.parametrize("command", [["check"], ["run", "--config"]], ids=lambda c: c[0])
def test_a_preset_that_cannot_run_ends_with_2_before_any_work(tmp_path, capfd, command):
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\n1,2,3\n")
    path = tmp_path / "shop.yaml"
    path.write_text(
        f"name: shop\ndata: {{folder: {tmp_path}, interactions: {{path: log.csv}}}}\n"
        f"pipeline: {{root: {tmp_path}/runs, beam: {{runner: portable, worker_pool: 'localhost:1'}}}}\n"
    )
    assert main([*command, str(path)]) == common.USAGE
    assert f"{path}:3: `pipeline.beam`: `portable` needs `endpoint`" in capfd.readouterr().err
    assert not (tmp_path / "runs").exists()
