"""A whole training in a TrainJob whose two pods are TensorFlow processes here; worker 1 is killed once.

`python -m tests.trainer.cluster_jobs.whole_job` takes about a minute of CPU, so it is not among the tests.
"""

import os
import resource
import tempfile
import threading
import time
from pathlib import Path

from config import dump_config, parse_config
from config.fingerprint import TRAINER_CODE, code_fingerprint
from config.load import changed_config
from tests.trainer.cluster_jobs.cluster import loopback_cluster
from tests.trainer.test_run import arguments, write_raw, write_splits
from trainer.chief import run_fn
from trainer.cluster_jobs.manifests import training_runtime

KILLED_AFTER = "now: epoch 1"


def prepared(folder):
    """The arguments of a Trainer with a small shop's examples, and the runtime of its job."""
    write_splits(folder / "examples")
    write_raw(folder / "raw")
    found = arguments(folder, folder / "checkpoints", {"training.epochs": 3, "training.batch_size": 4})
    job = {"kind": "train_job", "image": "shop:1", "storage": {"path": str(folder)}}
    changes = {"training.strategy": "multi_worker", "training.job": job, "training.checkpoint_every_minutes": 1e-9}
    config = changed_config(parse_config(found.custom_config["config"], "custom_config"), changes)
    found.custom_config |= {"config": dump_config(config), "fingerprint": code_fingerprint(*TRAINER_CODE)}
    return found, training_runtime(config.training.job)


def kill_once(cluster):
    """Kills worker 1 when the chief reports its first steps."""
    while True:
        chief = next((pod for pod in cluster.pods if "-0-0-" in pod.name), None)
        if chief and any(KILLED_AFTER in line for line in chief.lines):
            (worker,) = (pod for pod in cluster.pods if "-0-1-" in pod.name)
            worker.process.kill()
            print("worker 1 is killed", flush=True)
            return
        time.sleep(0.1)


def main():
    with tempfile.TemporaryDirectory(prefix="job-") as name:
        folder = Path(name)
        found, runtime = prepared(folder)
        with loopback_cluster(folder, runtime) as cluster:
            os.environ["KUBECONFIG"] = str(folder / "kubeconfig")
            threading.Thread(target=kill_once, args=(cluster,), daemon=True).start()
            run_fn(found)
            print(f"pods: {', '.join(cluster.all_pods)}")
        print(f"the model: {', '.join(sorted(os.listdir(folder / 'model')))}")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"CPU seconds of the workers: {spent.ru_utime + spent.ru_stime:.0f}")


if __name__ == "__main__":
    main()
