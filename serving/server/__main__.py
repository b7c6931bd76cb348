"""The embedded model server: `python -m serving.server --model_name=NAME --model_base_path=FOLDER --port=8500`.

Exit codes: 0 after SIGTERM or SIGINT; 1 where no version of a model can be loaded at the start; 2 for a flag or a file
that a flag names; 3 where a port is taken. TensorFlow is imported only once the flags are right.
"""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from serving.server import GRPC_EXPERIMENTS

os.environ.setdefault("GRPC_EXPERIMENTS", GRPC_EXPERIMENTS)  # gRPC reads it when it is imported

from serving.server.flags import UsageError, parse_flags, read_credentials, read_metrics_path, read_models

if TYPE_CHECKING:
    from serving.server.model_server import ModelServer

LOG = logging.getLogger("serving")

LOAD_FAILED, USAGE, PORT_TAKEN = 1, 2, 3
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_POLL_SECONDS: Final = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code."""
    flags = parse_flags(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        models, credentials, metrics_path = read_models(flags), read_credentials(flags), read_metrics_path(flags)
    except UsageError as error:
        return _failed(USAGE, str(error))
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # before any thread starts: all inherit it, `main` alone waits
    from serving.server.model_server import ModelServer

    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    server = ModelServer(flags, models, credentials, metrics_path)
    try:
        lines = server.listen()
    except OSError as error:
        return _failed(PORT_TAKEN, str(error))
    server.start()
    code = _wait_for_models(server)
    if code is None:
        print(*lines, sep="\n", flush=True)
        if flags.model_config_file and flags.model_config_file_poll_wait_seconds > 0:
            while signal.sigtimedwait(_SIGNALS, flags.model_config_file_poll_wait_seconds) is None:
                server.configure_again()
        else:
            signal.sigwait(_SIGNALS)
    LOG.info("Stopping: requests under way may take %s more seconds", flags.drain_seconds)
    server.stop()
    return code or 0


def _wait_for_models(server: "ModelServer") -> int | None:
    """Returns None once all models answer; the exit code at a signal, or where a model cannot be loaded."""
    while not server.is_serving:
        if signal.sigtimedwait(_SIGNALS, _POLL_SECONDS) is not None:
            return 0
        for name, error in server.repository.failures().items():
            return _failed(LOAD_FAILED, f"model {name}: {error.code.name}: {error.message}")
    return None


def _failed(code: int, message: str) -> int:
    print(f"The server did not start: {' '.join(message.split())}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
