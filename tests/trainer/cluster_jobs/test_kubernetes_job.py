"""Jobs on a cluster over loopback: real requests, and real processes in place of containers."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from config.cluster_jobs import TfJobConfig, TrainJobConfig
from config.fingerprint import ROOT
from tests.trainer.cluster_jobs.cluster import loopback_cluster
from trainer.cluster_jobs.kubernetes_api import Kubernetes
from trainer.cluster_jobs.kubernetes_job import KubernetesJob, require_kind
from trainer.cluster_jobs.manifests import RETRY, tf_job, train_job, training_runtime
from trainer.cluster_jobs.waiting import ClusterJobError, run_job

NAME = "shop-1a2b"
JOB = TrainJobConfig(kind="train_job", image="shop:1")
TF_JOB = TfJobConfig(kind="tf_job", image="shop:1")
INDEX = "import os, sys, json; index = int(os.environ.get('JOB_COMPLETION_INDEX', -1))\n"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    with loopback_cluster(folder, training_runtime(JOB)) as cluster:
        yield cluster, folder


@pytest.fixture
def cluster(shared, monkeypatch):
    """An empty cluster, which the environment names."""
    found, folder = shared
    monkeypatch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
    found.clear()
    return found


def submitted(code, job=JOB):
    make = tf_job if isinstance(job, TfJobConfig) else train_job
    return KubernetesJob(Kubernetes.connect(None), make(job, NAME, ("python", "-c", INDEX + code)), job.workers, 0.05)


def run(code, job=JOB, start_seconds=20.0, patience=20.0):
    run_job(submitted(code, job), start_seconds, 0.05, patience)


def test_a_job_is_waited_for_and_its_output_is_printed_here(cluster, capfd):
    run("print('progress: epoch 1' if index == 0 else 'now: step 1')")
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "progress: TrainJob shop-1a2b in the namespace ml is submitted"
    assert "progress: epoch 1" in lines  # the chief's progress is the run's
    assert "[worker 1] now: step 1" in lines
    assert cluster.deleted == [NAME]


def test_the_operator_of_a_tf_job_names_the_workers(cluster, capfd):
    run("print(json.loads(os.environ['TF_CONFIG'])['task'])", TF_JOB)
    out = capfd.readouterr().out
    assert "[worker 0] {'type': 'worker', 'index': 0}" in out
    assert "[worker 1] {'type': 'worker', 'index': 1}" in out


def test_a_connection_that_breaks_loses_and_repeats_no_line(cluster, capfd):
    lines = "['one', 'two: break the connection', 'three', 'four']"
    run(f"[print(line, flush=True) for line in {lines} if index == 0]")
    printed = [line for line in capfd.readouterr().out.splitlines() if line.startswith("[worker 0]")]
    assert printed == [f"[worker 0] {line}" for line in ("one", "two: break the connection", "three", "four")]


@pytest.mark.parametrize("job", [JOB, TF_JOB])
def test_a_failure_names_job_worker_reason_and_last_lines(cluster, job):
    place = "index" if job is JOB else "json.loads(os.environ['TF_CONFIG'])['task']['index']"
    with pytest.raises(ClusterJobError) as error:
        run(f"print('loss is nan') if {place} else __import__('time').sleep(60); sys.exit(1)", job)
    kind = "TrainJob" if job is JOB else "TFJob"
    assert str(error.value) == (
        f"{kind} shop-1a2b in the namespace ml failed: worker 1 (pod shop-1a2b-node-0-1-0) ended with Error"
        " (exit code 1) (PodFailurePolicy: Container of pod shop-1a2b-node-0-1-0 failed). Its last lines:\nloss is nan"
    )
    assert cluster.deleted == []  # its pods tell more


def test_lost_workers_start_again(cluster, capfd, tmp_path):
    mark = tmp_path / "mark"
    run(
        f"mark = {str(mark)!r}\n"
        "if os.path.exists(f'{mark}{index}'): print('goes on'); sys.exit()\n"
        f"open(f'{{mark}}{{index}}', 'w'); sys.stdout.flush(); os.kill(os.getpid(), 9) if index else sys.exit({RETRY})"
    )
    out = capfd.readouterr().out
    assert "[worker 0] goes on" in out
    assert "[worker 1] goes on" in out


def test_workers_that_do_not_start_say_why_and_are_deleted(cluster, capfd):
    cluster.held = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "shop:1"'}
    reason = 'worker 0 (pod shop-1a2b-node-0-0-0): ImagePullBackOff: Back-off pulling image "shop:1"'
    with pytest.raises(ClusterJobError) as error:
        run("", start_seconds=0.3)
    assert str(error.value) == (
        f"TrainJob shop-1a2b in the namespace ml has not started within 0.005 minutes: {reason}"
    )
    assert f"now: TrainJob shop-1a2b in the namespace ml: {reason}" in capfd.readouterr().out
    assert cluster.deleted == [NAME]


def test_an_api_that_fails_for_a_while_does_not_end_the_job(cluster, capfd):
    cluster.faults.extend([500, 0, 429, 503])
    run("")
    assert capfd.readouterr().out.count("the cluster does not answer, and is asked again: 500") == 1
    assert cluster.deleted == [NAME]


def test_an_api_that_is_silent_for_too_long_ends_the_step_and_not_the_job(cluster):
    job = submitted("__import__('time').sleep(60)")
    job.submit()
    cluster.faults.extend([503] * 10**4)
    with pytest.raises(ClusterJobError, match=r"has not answered for \d s: 503 .* attaches to it when it is run again"):
        run_job(job, 20, 0.05, patience=0.3)
    cluster.faults.clear()
    assert ("trainjobs", NAME) in cluster.jobs


def test_a_second_try_attaches_to_the_job_of_the_first(cluster, capfd, tmp_path):
    code = f"while not os.path.exists({str(tmp_path / 'go')!r}): pass"
    submitted(code).submit()
    (tmp_path / "go").touch()
    run(code)
    assert "is found: an earlier try of this step had submitted it" in capfd.readouterr().out
    assert len(cluster.all_pods) == 2


def test_a_job_that_failed_before_is_made_anew(cluster, tmp_path):
    code = f"sys.exit(not os.path.exists({str(tmp_path / 'go')!r}))"
    with pytest.raises(ClusterJobError):
        run(code)
    (tmp_path / "go").touch()
    run(code)
    assert cluster.deleted == [NAME, NAME]


def test_a_job_that_a_queue_holds_back_is_not_late(cluster, capfd):
    job = submitted("")
    job.submit()
    held = {"type": "Suspended", "status": "True", "reason": "Suspended", "message": ""}
    cluster.jobs["trainjobs", NAME]["status"] = {"conditions": [held]}
    threading.Timer(1.0, cluster.jobs["trainjobs", NAME].pop, ["status"]).start()
    run_job(job, start_seconds=0.5, poll_seconds=0.05)
    assert "now: TrainJob shop-1a2b in the namespace ml: it is suspended, as by a queue" in capfd.readouterr().out


def test_a_job_that_is_deleted_by_others_ends_the_step(cluster):
    job = submitted("__import__('time').sleep(60)")
    job.submit()
    submitted("").delete()
    assert job.state().note == "it was deleted by someone else"


def test_a_manifest_that_the_cluster_refuses_is_an_error(cluster):
    job = KubernetesJob(Kubernetes.connect(None), {**train_job(JOB, NAME, ("python",)), "speck": {}}, 2)
    with pytest.raises(ClusterJobError, match="was refused: 422 unknown fields"):
        run_job(job, 20, 0.05)


def test_sigterm_deletes_the_job(cluster, shared):
    program = "from tests.trainer.cluster_jobs.test_kubernetes_job import run\nrun(\"__import__('time').sleep(60)\")"
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"progress: TrainJob shop-1a2b in the namespace ml is submitted\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
    assert cluster.deleted == [NAME]


def test_what_the_cluster_lacks_is_found_before_any_work(cluster, monkeypatch, tmp_path):
    kubernetes = Kubernetes.connect("other")
    require_kind(kubernetes, JOB)
    require_kind(kubernetes, TF_JOB)
    with pytest.raises(ClusterJobError, match=r"TrainingRuntime in the namespace other, .* Received: 'x': 404 no"):
        require_kind(kubernetes, JOB.model_copy(update={"runtime": "x"}))
    cluster.faults.append(404)
    with pytest.raises(ClusterJobError, match=r"should have tfjobs.kubeflow.org, .* Received: 404 injected"):
        require_kind(kubernetes, TF_JOB)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ClusterJobError, match=r"a cluster is needed: run this in one of its pods, or let KUBECONFIG"):
        Kubernetes.connect(None)
