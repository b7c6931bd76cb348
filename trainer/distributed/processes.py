"""The other processes of a cluster on this machine: started with their `TF_CONFIG`, followed, ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from typing import Final, Self

from config.cluster import VARIABLE
from config.local_cluster import LocalCluster, Task
from serving.server.process import program_process

LOST: Final = 3
"""The exit code of a process that ended because another had."""
_KEPT_LINES: Final = 20
_NAMES: Final = {"ps": "server"}
"""What a role is called in messages, where that is another word than in `TF_CONFIG`."""
_SIGNAL: Final = 128
"""A program that a signal ended has this exit code plus the signal's number."""


class RoleProcess:
    """A process of a cluster: its output is printed here, each line after its role and index; it ends with the block.

    It also ends when this process does, whatever ends it.

    Args:
        task: Its role and index.
        command: The program and its arguments.
        tf_config: The variable `TF_CONFIG` of its own.

    Attributes:
        role: Of the task.
        name: In messages.
    """

    def __init__(self, task: Task, command: Sequence[str], tf_config: str) -> None:
        self.role, self.name = task[0], f"{_NAMES.get(task[0], task[0])} {task[1]}"
        self._command, self._tf_config = command, tf_config
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        read, write = os.pipe()
        follower = threading.Thread(target=self._follow, args=(read,), daemon=True)
        follower.start()
        self._stack.callback(follower.join)
        with os.fdopen(write, "w") as output:
            variables = {VARIABLE: self._tf_config}
            self._process = self._stack.enter_context(program_process(self._command, output, **variables))
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()  # TensorFlow catches SIGTERM; the program is killed when what runs it is
        self._stack.close()

    def wait(self, seconds: float) -> None:
        """Waits for the end of the process, so many seconds at most."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    @property
    def code(self) -> int | None:
        """The exit code, None while the process runs."""
        return self._process.poll()

    @property
    def was_killed(self) -> bool:
        """Whether the process has ended by a signal."""
        return self.code is not None and not 0 <= self.code <= _SIGNAL

    def reason(self) -> str:
        """Returns why the process ended, in a sentence that begins with its name."""
        code = self._process.wait()
        if self.was_killed:
            return f"{self.name} was killed by {signal.Signals(-code if code < 0 else code - _SIGNAL).name}"
        said = next((line for line in reversed(self._lines) if line.strip()), "nothing")
        return f"{self.name} ended with code {code}: {said}"

    def _follow(self, descriptor: int) -> None:
        with os.fdopen(descriptor, errors="backslashreplace") as output:
            for line in output:
                self._lines.append(line.rstrip("\n"))
                sys.stdout.write(f"[{self.name}] {self._lines[-1]}\n")  # at once: other threads print, too
                sys.stdout.flush()


def loopback_addresses(cluster: LocalCluster) -> dict[str, list[str]]:
    """Returns an address with a free port of the loopback interface for each process, by role."""
    with ExitStack() as stack:  # all are open together, so that none is given twice

        def address() -> str:
            listener = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
            return f"127.0.0.1:{listener.getsockname()[1]}"

        return {role: [address() for _ in range(count)] for role, count in cluster.processes.items()}


def tf_config(addresses: Mapping[str, Sequence[str]], task: Task) -> str:
    """Returns the `TF_CONFIG` of one process of a cluster."""
    role, index = task
    return json.dumps({"cluster": addresses, "task": {"type": role, "index": index}})
