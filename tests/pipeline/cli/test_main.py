import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config import ConfigError
from pipeline.cli import main
from pipeline.runners.local import run_pipeline
from trainer.distributed.restarts import LostWorkerError

ROOT = Path(__file__).parents[3]

SHOP = """\
name: shop
data:
  folder: shop
  interactions: {path: events.csv, time: time}
features:
  outcome:
    - {name: rating, kind: categorical}
"""


def call(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / "tfx_runner.py"), *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def shop(tmp_path):
    """A folder with one good configuration and its table."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "events.csv").write_text("user_id,item_id,time,rating\n1,2,1600000000,4\n")
    (tmp_path / "shop.yaml").write_text(SHOP)
    return tmp_path


def test_help_lists_commands_and_exit_codes_at_once(tmp_path):
    begin = time.monotonic()
    run = call(tmp_path, "--help")
    assert run.returncode == 0
    for word in ("run", "crossval", "check", "data", "serve", "recommend", "compile", "not blessed or not pushed"):
        assert word in run.stdout
    assert time.monotonic() - begin < 5  # a second on an idle machine; TensorFlow alone takes ten


def test_check_says_ok(shop):
    run = call(shop, "check", "shop.yaml")
    assert (run.returncode, run.stdout.splitlines()[-1]) == (0, "shop.yaml: ok (1 features; tasks: retrieval)")


def test_check_without_data_looks_at_no_table(shop, capsys):
    (shop / "shop" / "events.csv").unlink()
    assert main(["check", str(shop / "shop.yaml"), "--without-data"]) == 0
    assert capsys.readouterr().out.endswith("shop.yaml: ok, without its data (tasks: retrieval)\n")


def test_deploy_writes_an_image_and_manifests(shop, capsys):
    output = shop / "deploy"
    assert main(["deploy", "--config", str(ROOT / "examples/movielens-100k.yaml"), "--output", str(output)]) == 0
    files = {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()}
    kubernetes = {f"kubernetes/{name}.yaml" for name in ("run", "serving", "storage")}
    jobs = {f"jobs/{name}.yaml" for name in ("tf-job", "train-job", "training-runtime")}
    assert files == {"Dockerfile", "Dockerfile.dockerignore"} | kubernetes | jobs
    assert capsys.readouterr().out.splitlines()[0] == str(output / "Dockerfile")


def test_deploy_refuses_what_no_pod_would_find(shop, capsys):
    assert main(["deploy", "--config", str(shop / "shop.yaml"), "--output", str(shop / "deploy")]) == 2
    assert "shop.yaml should be in the project's folder" in capsys.readouterr().err
    (shop / "shop.yaml").write_text(SHOP + "pipeline: {root: /data}\n")
    assert main(["deploy", "--config", str(shop / "shop.yaml"), "--output", str(shop / "deploy")]) == 2
    assert "shop.yaml:8: `pipeline.root`: should be relative, or below `deploy.storage" in capsys.readouterr().err
    assert not (shop / "deploy").exists()


def test_check_tells_what_the_rows_hold_and_exits_with_2_where_they_cannot_be_used(shop, monkeypatch, capsys):
    monkeypatch.chdir(shop)
    rows = "".join(f"{n % 3},{n % 5},{1_600_000_000_000 + n},4\n" for n in range(40))
    (shop / "shop" / "events.csv").write_text(f"user_id,item_id,time,rating\n{rows}")
    assert main(["check", "shop.yaml", "--full"]) == 2
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "  events.csv, line 6: time is '1600000000004', expected seconds since 1970 (`time_unit: s`)",
        "  '1600000000000': `time_unit: ms`?",
    ]
    (shop / "shop.yaml").write_text(SHOP.replace("time: time", "time: time, time_unit: ms"))
    assert main(["check", "shop.yaml"]) == 0
    out, err = capsys.readouterr()
    assert "times of events.csv (time): 2020-09-13 12:26:40 to 2020-09-13 12:26:40 UTC" in out
    assert out.splitlines()[-1] == "shop.yaml: ok (1 features; tasks: retrieval; warnings: 2)"
    assert "warning: rating of events.csv is always '4'" in err


def test_check_tells_the_bytes_of_the_tables_and_refuses_those_above_the_limit(shop, monkeypatch, capsys):
    monkeypatch.chdir(shop)
    (shop / "shop.yaml").write_text(SHOP + "training: {memory_limit: 1MB, warm_start: {}}\n")
    rows = "".join(f"u{n},i{n % 2000},{1_600_000_000 + n},4\n" for n in range(3000))
    (shop / "shop" / "events.csv").write_text(f"user_id,item_id,time,rating\n{rows}")
    assert main(["check", "shop.yaml"]) == 0
    out, err = capsys.readouterr()
    assert "estimated as if later rows held new ids as often as the first (--full counts all)" in out
    assert "warning: `training.memory_limit`: by an estimate" in err
    assert main(["check", "shop.yaml", "--full"]) == 2
    out, err = capsys.readouterr()
    assert "tables of the model: 2,000 items, 3,000 users" in out
    assert "2,001 x 64 x 4 bytes" in out
    assert "512 kB" in out
    assert "kept beside each model for a warm start: at most 1.56 MB" in out
    assert err.count("error:") == 1
    assert err.splitlines()[-1].startswith("error: shop.yaml: `training.memory_limit`: the tables of the model need ")


def test_a_component_that_refuses_the_configuration_exits_with_2(shop, monkeypatch, capsys):
    monkeypatch.chdir(shop)

    def build():
        raise ConfigError("`training.memory_limit`: too small")

    outcome = run_pipeline(build, shop / "runs")
    assert outcome.is_refused
    monkeypatch.setattr("pipeline.runners.local.run_local", lambda config, verbose, log_format: outcome)
    assert main(["run", "--config", "shop.yaml"]) == 2
    assert "error: starting failed: `training.memory_limit`: too small" in capsys.readouterr().err


def test_a_pod_whose_other_worker_was_lost_is_started_again(shop, monkeypatch, capsys):
    monkeypatch.chdir(shop)
    monkeypatch.setenv("TF_CONFIG", "")  # so that what the command sets is undone
    monkeypatch.delenv("TF_CONFIG")
    monkeypatch.setenv("CLUSTER_HOSTS", "127.0.0.1:1,127.0.0.1:2")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "0")

    def build():
        raise LostWorkerError("another worker has ended")

    outcome = run_pipeline(build, shop / "runs")
    strategies = []

    def run_local(config, verbose, log_format):
        strategies.append(config.training.strategy)
        return outcome

    monkeypatch.setattr("pipeline.runners.local.run_local", run_local)
    assert main(["worker", "--config", "shop.yaml"]) == 138
    assert "error: starting failed: another worker has ended" in capsys.readouterr().err
    assert strategies == ["multi_worker"]  # whatever the file says
    assert main(["run", "--config", "shop.yaml"]) == 1


def test_wrong_configuration_exits_with_2_and_all_problems(shop):
    (shop / "shop.yaml").write_text(SHOP.replace("name: rating", "name: ratng") + "serving: {max_k: 1}\n")
    for command in (["check", "shop.yaml"], ["run", "--config", "shop.yaml"]):
        run = call(shop, *command)
        assert run.returncode == 2
        assert run.stdout == ""
        assert run.stderr.splitlines() == [
            "error: shop.yaml:8: `serving.max_k`: should be at least `default_k` (10). Received: 1",
            "shop.yaml:7: `features.outcome[0].name`: no such column: 'ratng'. Did you mean `rating`? "
            "Columns of events.csv: user_id, item_id, time, rating",
        ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required: command"),
        (["fly"], "invalid choice: 'fly'"),
        (["recommend", "--config", "shop.yaml"], "required: --user"),
        (["recommend", "--user", "1", "--k", "0"], "should be a positive integer. Received: '0'"),
        (["check", "none.yaml"], "none.yaml: cannot be read (No such file or directory)"),
        (["data", "--config", "shop.yaml"], "`data.dataset` names no public data set"),
        (["run", "--config", "shop.yaml", "--workers", "2"], "`--workers` should be left out, or `training.strategy`"),
        (["worker"], "error: `TF_CONFIG` should name the workers where `training.strategy` is `multi_worker`: {"),
    ],
)
def test_wrong_use_exits_with_2(shop, arguments, said):
    run = call(shop, *arguments)
    assert run.returncode == 2
    assert said in run.stderr
    assert "Traceback" not in run.stderr


def test_several_workers_are_looked_for_before_any_work(shop):
    (shop / "shop.yaml").write_text(SHOP + "training: {strategy: multi_worker}\n")
    run = call(shop, "run", "--config", "shop.yaml", TF_CONFIG='{"cluster": {"worker": ["a:1"]}, "task": {}}')
    assert run.returncode == 2
    assert "`TF_CONFIG.task.index` is required and missing" in run.stderr
    assert run.stdout == ""
    assert not (shop / "runs").exists()


def test_parameter_servers_are_looked_for_before_any_work(shop):
    tasks = "tasks: {retrieval: {kind: retrieval, negatives: mixed}}\n"
    (shop / "shop.yaml").write_text(f"{SHOP}{tasks}training: {{strategy: parameter_server}}\n")
    run = call(shop, "run", "--config", "shop.yaml", "--workers", "2")
    assert run.returncode == 2
    assert "`--servers` should be at least 1 with the strategy `parameter_server`. Received: nothing" in run.stderr
    assert not (shop / "runs").exists()


def test_a_cluster_is_looked_for_before_any_work(shop):
    job = f"{{kind: train_job, image: i, storage: {{path: {shop}}}}}"
    (shop / "shop.yaml").write_text(f"{SHOP}training: {{strategy: multi_worker, job: {job}}}\n")
    run = call(shop, "run", "--config", "shop.yaml", KUBECONFIG=str(shop / "none"))
    assert run.returncode == 2
    assert run.stderr.startswith("error: `training.job`: a cluster is needed: run this in one of its pods")
    (shop / "shop.yaml").write_text((shop / "shop.yaml").read_text().replace(str(shop), "/elsewhere"))
    run = call(shop, "run", "--config", "shop.yaml")
    assert run.returncode == 2
    assert "`pipeline.root` should be below `training.job.storage.path` (/elsewhere), where the workers'" in run.stderr
    assert not (shop / "runs").exists()


def test_a_tpu_is_looked_for_before_any_work(shop):
    (shop / "shop.yaml").write_text(SHOP + "training: {strategy: tpu}\n")
    run = call(shop, "run", "--config", "shop.yaml")
    assert run.returncode == 2
    assert "`training.tpu` should be the TPU's name, its address" in run.stderr
    assert not (shop / "runs").exists()


def test_data_without_network_exits_with_1_and_names_the_terms(shop):
    (shop / "shop.yaml").write_text(SHOP.replace("folder: shop", "folder: new\n  dataset: movielens-100k"))
    run = call(
        shop, "data", "--config", "shop.yaml", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(shop), PIP_CONFIG_FILE=os.devnull
    )
    assert run.returncode == 1
    assert "Harper" in run.stdout
    assert "error: pip could not download recbole==1.2.1" in run.stderr
    assert not (shop / "new").exists()


@pytest.mark.parametrize("command", [["serve"], ["recommend", "--user", "1"]])
def test_without_a_pushed_model_the_message_names_the_command(shop, command):
    run = call(shop, *command, "--config", "shop.yaml")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        "error: runs/shop/serving/recommender holds no model. Make one: `tfx_runner.py run --config shop.yaml`"
    )


def test_server_that_does_not_answer_is_named(shop):
    run = call(shop, "recommend", "--config", "shop.yaml", "--user", "1", "--address", "localhost:1")
    assert run.returncode == 1
    assert "localhost:1 (model recommender): UNAVAILABLE" in run.stderr
    assert "Traceback" not in run.stderr
