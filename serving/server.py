"""The embedded model server: `python -m serving.server --model_name=NAME --model_base_path=FOLDER --port=8500`.

It speaks TensorFlow Serving's interface and takes its flags. TensorFlow is imported only once the flags are right.
"""

import logging
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import serving.transport  # noqa: F401  (before gRPC is imported)

from serving.errors import ServingError  # isort: skip
from serving.flags import UsageError, parse_flags
from serving.options import Options, read_options

if TYPE_CHECKING:
    from serving.model_server import ModelServer

LOG = logging.getLogger("serving")

NOT_STARTED: Final = "Failed to start server. Error: "
FAILURE: Final = 255
"""The exit status when the server does not start."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT. Returns the exit status: 0, or 255 when it could not serve."""
    try:
        flags = parse_flags(arguments)
    except UsageError as error:
        print(error)
        return FAILURE
    if flags.version:
        print(f"TensorFlow ModelServer: embedded\nTensorFlow Library: {version('tensorflow')}")
        return 0
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # before any thread starts: all inherit it, `main` alone waits
    try:
        return _serve(read_options(flags))
    except (ServingError, RuntimeError, OSError) as error:
        status = error.status if isinstance(error, ServingError) else f"UNKNOWN: {error}"
        print(f"{NOT_STARTED}{' '.join(status.split())}", file=sys.stderr, flush=True)
        return FAILURE


def _serve(options: Options) -> int:
    from serving.model_server import ModelServer

    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    server = ModelServer(options)
    is_up, is_told_to_stop = _start(server)
    if not is_up:
        return 0
    if not is_told_to_stop:
        signal.sigwait(_SIGNALS)
    LOG.info("Stopping: requests under way may take %s more seconds", options.flags.drain_seconds)
    server.stop()
    return 0


def _start(server: "ModelServer") -> tuple[bool, bool]:
    """`server.start()`, given up at a signal: whether it is up, and whether a signal came, which may be too late."""
    is_told_to_stop = False
    with ThreadPoolExecutor(1) as starter:
        started = starter.submit(server.start)
        while not started.done():
            if signal.sigtimedwait(_SIGNALS, 0.1) is not None:
                is_told_to_stop = True
                server.repository.interrupt()
    return started.result(), is_told_to_stop


if __name__ == "__main__":
    sys.exit(main())
