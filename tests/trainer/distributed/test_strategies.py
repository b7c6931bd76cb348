import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from config.training import TrainingConfig
from tests.trainer.replicas import LAZY, REPLICAS, STEPPED, TRAINED, WINDOWS
from tests.trainer.small import MANY_TASKS, draw_rows, write_rows
from trainer.distributed.collectives import global_sum
from trainer.distributed.strategies import make_strategy, prepare_devices


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas")
    rows = draw_rows(7, WINDOWS)
    rows[2]["weight_like"] = [0.0] * len(rows[2]["item_id"])
    data = write_rows(folder / "data.gz", rows)
    # A process of its own: TensorFlow divides the CPU into devices only before it does anything else.
    command = [sys.executable, "-m", "tests.trainer.replicas", data, str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    return folder


def arrays(folder, negatives):
    one, several = (dict(np.load(folder / f"{negatives}-{replicas}.npz")) for replicas in (1, REPLICAS))
    assert set(one) == set(several)
    return one, several


@pytest.mark.parametrize("negatives", [*TRAINED, *STEPPED, "tasks", "generator"])
def test_several_replicas_learn_what_one_does(negatives, folder):
    one, several = arrays(folder, negatives)
    by_default = {"retrieval", "rating", "like"} if negatives in TRAINED else {"retrieval"}
    tasks = MANY_TASKS if negatives == "tasks" else by_default
    assert set(one) >= {f"loss/{task}" for task in tasks}
    for name in one:
        np.testing.assert_allclose(several[name], one[name], rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("rule", LAZY)
def test_several_replicas_update_the_rows_that_one_does(rule, folder):
    one, several = arrays(folder, rule)
    for name in one:
        np.testing.assert_allclose(several[name], one[name], rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("negatives", STEPPED)
def test_every_kind_of_negatives_has_a_gradient(negatives, folder):
    one, _ = arrays(folder, negatives)
    assert all(np.abs(values).max() > 1e-4 for values in one.values())


def test_one_device_needs_no_preparation():
    assert make_strategy(TrainingConfig()).num_replicas_in_sync == 1


@pytest.mark.parametrize(
    ("before", "threads"), [("", "2 1"), ("tf.config.threading.set_inter_op_parallelism_threads(7)", "7 0")]
)
def test_operations_run_side_by_side_where_nobody_has_chosen(before, threads):
    lines = [
        "import os, pipeline, tensorflow as tf",
        "from config.training import TrainingConfig",
        "from trainer.distributed.strategies import make_strategy",
        "os.sched_getaffinity = lambda _: {0, 1}",
        before,
        "make_strategy(TrainingConfig())",
        "found = tf.config.threading",
        "print(found.get_inter_op_parallelism_threads(), found.get_intra_op_parallelism_threads())",
    ]
    ended = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert ended.stdout.split("\n")[-2] == threads


def test_a_sum_over_one_replica_is_the_value_and_has_no_gradient():
    value = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        total = global_sum(value)
    assert float(total) == 2
    assert tape.gradient(total, value) is None


def test_too_few_devices_say_what_to_do():
    tf.constant(1.0) + 1
    with pytest.raises(RuntimeError, match="asks for 64 CPU devices but TensorFlow has started with"):
        prepare_devices(TrainingConfig(strategy="mirrored", replicas=64))


def test_the_memory_of_gpus_grows(monkeypatch):
    grown = []
    gpus = [tf.config.PhysicalDevice(f"/physical_device:GPU:{number}", "GPU") for number in range(2)]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: gpus if kind == "GPU" else [])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, grows: grown.append((gpu, grows)))
    prepare_devices(TrainingConfig())
    assert grown == [(gpu, True) for gpu in gpus]
