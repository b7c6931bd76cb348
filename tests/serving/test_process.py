"""Servers that a killed process leaves: none. Real processes; the parent is killed as the system would."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from serving.server.process import program_process
from tests.serving.models import eventually, save_model

SERVER = """
import sys
from pipeline.infra.candidate import serve_candidate
from config.serving import InfraConfig
with serve_candidate(sys.argv[1], InfraConfig(), 300) as address:
    print(address, flush=True)
    sys.stdin.read()
"""
PROGRAM = """
import os, sys, time
from serving.server.process import program_process
with open(sys.argv[1], "w") as log, program_process(["sh", "-c", "trap '' TERM; echo $$; sleep 1000"], log):
    if os.fork():  # a child that holds the pipe's other end
        time.sleep(1000)
    time.sleep(30)
"""


def _pids_with(text: str) -> list[int]:
    """The processes whose command line holds a text."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if text.encode() in command and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def _listening(pid: int) -> list[str]:
    """The addresses, in hexadecimal, of TCP ports that a process listens on."""
    inodes = {os.readlink(f) for f in Path(f"/proc/{pid}/fd").iterdir() if os.path.lexists(f)}
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return [line[1] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in inodes]


def test_the_candidates_server_dies_with_its_parent_and_has_no_port(tmp_path: Path) -> None:
    model = save_model(tmp_path / "7")
    command = [sys.executable, "-c", SERVER, str(model)]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    try:
        address = parent.stdout.readline().strip()
        assert address.startswith("unix:"), address
        folder = str(Path(address.removeprefix("unix:")).parent)
        (server,) = _pids_with(folder)
        assert _listening(server) == []
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    eventually(lambda: not _pids_with(folder), 20)


def test_a_program_that_will_not_end_is_killed_though_a_fork_of_its_parent_lives(tmp_path: Path) -> None:
    log = tmp_path / "log"
    parent = subprocess.Popen([sys.executable, "-c", PROGRAM, str(log)], start_new_session=True)
    try:
        eventually(lambda: log.exists() and log.read_text().strip(), 30)
        program = int(log.read_text())
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        eventually(lambda: not Path(f"/proc/{program}").exists(), 25)
    finally:
        os.killpg(parent.pid, signal.SIGKILL)


def test_a_program_ends_with_the_block_and_its_status_is_its_own(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as log:
        with program_process(["sh", "-c", "echo up; exec sleep 1000"], log) as process:
            eventually(lambda: (tmp_path / "log").read_text(), 30)
        assert process.returncode == 128 + signal.SIGTERM
        with program_process(["sh", "-c", "exit 125"], log) as process:
            assert process.wait(30) == 125
        with program_process([str(tmp_path / "none")], log) as process:
            assert process.wait(30) == 127
        log.seek(0)
        assert log.read() == f"up\n{tmp_path}/none: cannot be run (No such file or directory)\n"
