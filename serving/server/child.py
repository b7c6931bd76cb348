"""A server that ends when the process that started it does, also when that one was killed.

`python -m serving.server.child server FLAGS` is `python -m serving.server FLAGS`, and with `run COMMAND` it is any
program. The parent keeps the other end of this process's standard input: it is closed when the parent ends, whatever
ends it. A copy of that end may live on in a process that the parent had forked, so the parent's id is looked at too.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final

_LOOK_EVERY: Final = 1.0
_PATIENCE: Final = 8.0
"""Seconds that a program may take to end before it is killed; less than whoever started this process waits for it."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_ON_PARENTS_DEATH: Final = 1
"""Linux's PR_SET_PDEATHSIG."""


def main(arguments: Sequence[str]) -> int:
    """Runs the server or the program to its end. Returns the exit status; of a program killed by signal N, 128 + N."""
    kind, *rest = arguments
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # the thread that watches is to get none
    if kind == "server":
        _watch_parent(lambda: os._exit(1))
        from serving.server.__main__ import main as serve

        return serve(rest)
    _watch_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    return _run(rest)


def _run(command: Sequence[str]) -> int:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        if libc is not None:
            libc.prctl(_ON_PARENTS_DEATH, signal.SIGKILL)

    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=prepare)
    except OSError as error:
        print(f"{command[0]}: cannot be run ({error.strerror})", file=sys.stderr)
        return 127
    is_asked = False
    while process.poll() is None and not is_asked:
        is_asked = signal.sigtimedwait(_SIGNALS, 0.05) is not None
    if is_asked:
        process.terminate()
    try:
        status = process.wait(_PATIENCE if is_asked else None)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    return status if status >= 0 else 128 - status


def _watch_parent(end: Callable[[], object]) -> None:
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            ready, _, _ = select.select([0], [], [], _LOOK_EVERY)
            if ready and not os.read(0, 1024):
                break
        end()

    threading.Thread(target=watch, name="parent", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
