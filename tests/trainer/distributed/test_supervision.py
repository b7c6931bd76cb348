import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.trainer.distributed.roles import PROGRAM, STEPS, TWO, patient_chief, supervise
from trainer.distributed.restarts import Restarts
from trainer.distributed.supervision import Program, train_with_restarts


def starts(folder, role):
    return [json.loads(line) for line in (folder / role).read_text().splitlines()]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("worker killed", "worker 1 was killed by SIGKILL"),
        ("chief killed", "the chief's training process ended with code -9"),
    ],
)
def test_all_go_on_from_the_last_step_when_one_is_killed(fault, reason, tmp_path, capsys):
    supervise(tmp_path, fault)
    chief, worker = starts(tmp_path, "chief"), starts(tmp_path, "worker")
    assert [step for _, _, step in chief] == [0, 3]
    assert len(worker) == 2
    for (_, one, _), (_, other, _) in zip(chief, worker, strict=True):
        assert one["cluster"] == other["cluster"]
        assert [each["task"] for each in (one, other)] == [{"type": "worker", "index": index} for index in (0, 1)]
        hosts, ports = zip(*(address.split(":") for address in one["cluster"]["worker"]), strict=True)
        assert set(hosts) == {"127.0.0.1"}
        assert len(set(ports)) == 2
    assert (tmp_path / "step").read_text() == str(STEPS)
    printed = capsys.readouterr().out.splitlines()
    assert f"progress: {reason}: all processes start again from the last checkpoint (restart 1)" in printed
    assert printed.count("[worker 1] hello") == printed.count("[worker 1] and welcome") == 2


def test_a_failure_that_repeats_ends_the_training_with_its_reason(tmp_path):
    reason = "worker 1 ended with code 1: FloatingPointError: three is wrong, after step 3, where training had failed"
    with pytest.raises(RuntimeError, match=reason):
        supervise(tmp_path, "worker wrong")
    assert len(starts(tmp_path, "worker")) == 2


def test_a_worker_that_cannot_live_is_not_replaced_for_ever(capsys):
    program = Program((sys.executable, "-c", "raise SystemExit(7)"), is_server=True, is_replaceable=True)
    with pytest.raises(RuntimeError, match="worker 1 ended with code 7: nothing, while the processes were starting"):
        train_with_restarts(patient_chief, TWO, {"worker": program})
    assert capsys.readouterr().out.count("worker 1 ended with code 7: nothing: another takes its place") == 1


def test_an_error_of_the_chief_is_no_loss(tmp_path):
    with pytest.raises(FloatingPointError, match="three is wrong"):
        supervise(tmp_path, "chief wrong")
    assert len(starts(tmp_path, "chief")) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_one_that_started_it(number, tmp_path):
    process = subprocess.Popen(
        [*PROGRAM, "supervise", str(tmp_path), "none at all"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # ignored where the tests run in the background
    )
    wait_until(lambda: all((tmp_path / role).exists() for role in ("chief", "worker")))
    time.sleep(0.2)
    pids = [starts(tmp_path, role)[0][0] for role in ("chief", "worker")]
    assert all(map(is_running, pids))
    process.send_signal(number)
    process.wait(20)
    wait_until(lambda: not any(map(is_running, pids)))


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_running(pid):
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_the_number_of_restarts_is_bounded():
    restarts = Restarts(limit=2)
    restarts.allow(None, "worker 1 was killed by SIGKILL")
    restarts.allow(0, "worker 1 was killed by SIGKILL")
    with pytest.raises(RuntimeError, match="Training had been started again 2 times, which is the limit"):
        restarts.allow(7, "worker 1 was lost")


@pytest.mark.parametrize(("step", "where"), [(None, "while the processes were starting"), (5, "after step 5")])
def test_a_failure_at_the_same_place_is_not_retried(step, where):
    restarts = Restarts()
    restarts.allow(step, "lost")
    with pytest.raises(RuntimeError, match=f"lost, {where}, where training had failed before: it is not started again"):
        restarts.allow(step, "lost")
