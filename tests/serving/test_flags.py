import socket
import subprocess
import sys
from pathlib import Path

import pytest

from serving.server.__main__ import main
from serving.server.flags import UsageError, parse_flags, read_credentials, read_metrics_path, read_models

CONFIG = """model_config_list {
  config { name: "a" base_path: "/models/a" model_version_policy { specific { versions: 3 versions: 5 } } }
  config { name: "b" base_path: "gs://bucket/b" model_platform: "tensorflow" version_labels { key: "new" value: 2 } }
}"""


def test_defaults_are_loopback_and_bounded() -> None:
    flags = parse_flags(["--model_base_path=/models/x"])
    assert (flags.host, flags.port, flags.rest_api_port) == ("127.0.0.1", 8500, 0)
    assert (flags.max_rows, flags.max_message_bytes, flags.max_queued_calls) == (512, 4 << 20, 256)
    (model,) = read_models(flags)
    assert (model.name, model.base_path) == ("default", "/models/x")


def test_models_of_a_config_file(tmp_path: Path) -> None:
    (tmp_path / "models").write_text(CONFIG)
    first, second = read_models(parse_flags([f"--model_config_file={tmp_path}/models"]))
    assert list(first.model_version_policy.specific.versions) == [3, 5]
    assert (second.name, second.base_path, dict(second.version_labels)) == ("b", "gs://bucket/b", {"new": 2})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model_config_list { config {", "is not a tensorflow.serving.ModelServerConfig in text form"),
        ('model_config_list { config { name: "a" base_path: "models" } }', "should be absolute or a URI"),
        ('model_config_list { config { base_path: "/a" } }', "needs a name of its own"),
        (CONFIG.replace('"b"', '"a"'), "needs a name of its own. Received: 'a', 'a'"),
        (CONFIG.replace('"tensorflow"', '"caffe"'), "should be 'tensorflow'. Received: 'caffe'"),
    ],
)
def test_config_files_that_cannot_be_served(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "models").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_models(parse_flags([f"--model_config_file={tmp_path}/models"]))


def test_tls_and_metrics_files(tmp_path: Path) -> None:
    (tmp_path / "ssl").write_text('server_key: "k" server_cert: "c" client_verify: true')
    with pytest.raises(UsageError, match="client_verify needs custom_ca"):
        read_credentials(parse_flags([f"--ssl_config_file={tmp_path}/ssl"]))
    with pytest.raises(UsageError, match="nothing: cannot be read"):
        read_credentials(parse_flags([f"--ssl_config_file={tmp_path}/nothing"]))
    (tmp_path / "monitoring").write_text("prometheus_config { enable: true }")
    flags = parse_flags([f"--monitoring_config_file={tmp_path}/monitoring"])
    assert read_metrics_path(flags) == "/monitoring/prometheus/metrics"
    assert read_metrics_path(parse_flags([])) is None


@pytest.mark.parametrize("flags", [["--max_rows=0"], ["--port=x"], ["--no_such=1"], ["--enable_model_warmup=maybe"]])
def test_flags_that_cannot_be_read_end_with_2(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        parse_flags(flags)
    assert raised.value.code == 2
    assert flags[0].split("=")[0].removeprefix("--") in capsys.readouterr().err


def test_no_model_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "give one of --model_base_path and --model_config_file" in capsys.readouterr().err


def test_a_taken_port_ends_with_3_and_a_broken_model_with_1(tmp_path: Path) -> None:
    """The port is looked at before the model is."""
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"\x08\x01 not a model")
    command = [sys.executable, "-m", "serving.server", "--max_num_load_retries=0", f"--model_base_path={tmp_path}"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = (port, 0)
        servers = [subprocess.Popen([*command, f"--port={p}"], stderr=subprocess.PIPE, text=True) for p in ports]
        errors = [server.communicate(timeout=120)[1] for server in servers]
    assert [server.returncode for server in servers] == [3, 1]
    assert f"The server did not start: cannot listen on 127.0.0.1:{port}" in errors[0]
    assert "The server did not start: model default: DATA_LOSS: " in errors[1]
