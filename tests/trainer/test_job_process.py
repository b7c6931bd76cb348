"""What a worker of a job on a cluster does with the arguments, and where it gets them from."""

import json
from pathlib import Path

import pytest

from config import dump_config
from config.cluster_jobs import TrainJobConfig
from config.fingerprint import TRAINER_CODE, code_fingerprint
from tests.trainer.cluster_jobs.cluster import loopback_cluster
from tests.trainer.small import small_config
from trainer import job_process, submit
from trainer.arguments import RunArguments
from trainer.cluster_jobs.manifests import training_runtime
from trainer.cluster_jobs.waiting import ClusterJobError

HOSTS = {"CLUSTER_HOSTS": "127.0.0.1:1,127.0.0.1:2", "JOB_COMPLETION_INDEX": "0"}
JOB = TrainJobConfig(kind="train_job", image="i")


def arguments(folder, fingerprint):
    custom = {"config": dump_config(small_config()), "fingerprint": fingerprint}
    return RunArguments([], [], "graph", str(folder / "model"), str(folder / "run"), None, None, custom)


def write(folder, fingerprint):
    path = folder / "job.json"
    found = json.loads(arguments(folder, fingerprint).to_json())
    path.write_text(json.dumps({"folder": str(folder), "arguments": found}))
    return str(path)


@pytest.fixture
def pod(monkeypatch, tmp_path):
    """The environment of a pod."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_CONFIG", "")  # so that what the process sets is undone
    monkeypatch.delenv("TF_CONFIG")
    for name, value in HOSTS.items():
        monkeypatch.setenv(name, value)


def test_code_that_is_not_the_submitting_steps_ends_the_job(pod, tmp_path, capsys):
    assert job_process.main(write(tmp_path, "other")) == 2
    own = code_fingerprint(*TRAINER_CODE)
    assert capsys.readouterr().err == (
        "error: `training.job.image` should hold the code of the step that submits the job, whose digest is other."
        f" Received: {own}\n"
    )


def test_storage_that_is_not_there_ends_the_job(pod, tmp_path, capsys):
    assert job_process.main(str(tmp_path / "none.json")) == 2
    said = capsys.readouterr().err
    assert "none.json: the arguments of the submitting step cannot be read: its storage should" in said


def test_relative_paths_start_where_the_submitting_step_did(pod, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    path = write(tmp_path, code_fingerprint(*TRAINER_CODE))
    monkeypatch.chdir(tmp_path / "elsewhere")
    seen = []
    monkeypatch.setattr(job_process, "train_as_chief", lambda found, progress: seen.append((found, Path.cwd())))
    assert job_process.main(path) == 0
    assert seen == [(arguments(tmp_path, code_fingerprint(*TRAINER_CODE)), tmp_path)]


STAND_IN = """
import json, os, sys
found = json.load(open(sys.argv[1]))["arguments"]
if os.environ["JOB_COMPLETION_INDEX"] == "0" and found["transform_graph_path"] == "graph":
    os.makedirs(found["serving_model_dir"])
    open(found["serving_model_dir"] + "/saved_model.pb", "w")
"""
"""In place of a training, which takes two TensorFlows: `tests.trainer.cluster_jobs.whole_job` runs it."""


@pytest.mark.parametrize("program", [STAND_IN, ""])
def test_arguments_are_handed_over_and_a_model_is_expected(program, monkeypatch, tmp_path):
    monkeypatch.setattr(submit, "PROGRAM", ("python", "-c", program))
    given = arguments(tmp_path, "f")
    with loopback_cluster(tmp_path, training_runtime(JOB)) as cluster:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        if program:
            submit.train_in_job(given, JOB)
        else:
            with pytest.raises(ClusterJobError, match=r"has succeeded, and .*/model holds no model: the workers and"):
                submit.train_in_job(given, JOB)
    (name,) = cluster.deleted
    text = (tmp_path / "run" / "job.json").read_text()
    assert name == submit.job_name("small", text)
    assert json.loads(text)["arguments"] == json.loads(given.to_json())


def test_names_are_kubernetes_own():
    long = submit.job_name(f"{'a' * 35}-b", "x")
    assert long == f"{'a' * 35}-2d711642b726"  # the digest of the arguments
    assert len(f"{long}-node-0-9999") <= 63
    assert submit.job_name("shop", "x") != submit.job_name("shop", "y")
