"""A run after the three passes, on what these have cached: mirrored, killed amid its training, below its gate."""

import os
import signal
import subprocess
import sys
import time

from tests.e2e.conftest import ROOT, Passes
from tests.e2e.metadata import states_by_component


def _wait_for_checkpoint(passes: Passes, process: subprocess.Popen[bytes], seconds: float = 240) -> None:
    limit = time.monotonic() + seconds
    while not list((passes.home.runs / "checkpoints").glob("*/last/*.index")):
        assert process.poll() is None, "the run ended before its first checkpoint"
        assert time.monotonic() < limit, "no checkpoint appeared"
        time.sleep(0.1)


def test_a_killed_run_resumes_and_a_model_below_its_gate_is_not_pushed(passes: Passes) -> None:
    home, before = passes.home, passes.home.versions()
    impossible = {"gates": [{"metric": "ndcg@10", "min": 0.999}]}
    mirrored = {"epochs": 2, "strategy": "mirrored", "replicas": 2}
    config = home.configure("impossible.yaml", evaluation=impossible, training=mirrored)
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tfx_runner.py"), "run", "--config", str(config)],
        cwd=home.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    _wait_for_checkpoint(passes, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = home.run(config)
    assert finished.code == 3, finished.output
    assert "not blessed" in finished.output
    assert "0.999" in finished.output
    assert home.versions() == before
    newest_log = max((home.runs / "logs").glob("*.log"), key=lambda path: path.stat().st_mtime)
    assert "resum" in newest_log.read_text().lower()
    states = states_by_component(home.runs)
    for component in ("InteractionExampleGen", "StatisticsGen", "Transform"):
        assert states[component][-2:] == ["CACHED", "CACHED"], component
    assert states["Trainer"][-1] == "COMPLETE"
    assert not list((home.runs / "checkpoints").glob("*/last/*.index")), "a finished training leaves none"
