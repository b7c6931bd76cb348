import subprocess
import sys

import numpy as np
import pytest

from tests.trainer.losses.balancing.replicas import METHODS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas")
    # A process of its own: TensorFlow divides the CPU into devices only before it does anything else.
    command = [sys.executable, "-m", "tests.trainer.losses.balancing.replicas", str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_four_replicas_balance_as_one_does(method, folder):
    one, four = (np.load(folder / f"{method}-{replicas}.npz") for replicas in (1, 4))
    assert len(one.files) >= 12
    for name in one.files:
        np.testing.assert_allclose(four[name], one[name], rtol=1e-4, atol=1e-6, err_msg=name)
    assert np.abs(one["gradient/0/0"]).max() > 0.1
