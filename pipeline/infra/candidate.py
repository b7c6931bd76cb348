"""The candidate model in a server of its own: a process, a free port, a limit on the time it may take."""

import select
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from pipeline.config.serving import InfraConfig
from pipeline.infra.tensorflow_serving import CandidateError, last_line, serve_with_tensorflow_serving
from serving.process import server_process

MODEL_NAME: Final = "candidate"
_LISTENING: Final = b"Running gRPC ModelServer at 0.0.0.0:"


@contextmanager
def serve_candidate(model_path: str, infra: InfraConfig, timeout: float) -> Iterator[str]:
    """The address of a server that answers with the SavedModel in `model_path`, until the block ends.

    The embedded server, or TensorFlow Serving where `infra` names one. `timeout` is in seconds. Raises `CandidateError`
    when the server ends, or does not answer by then, and `ServerMissingError` when there is no such server.
    """
    with tempfile.TemporaryDirectory(prefix="candidate-") as folder:
        base_path = Path(folder) / "versions"
        base_path.mkdir()
        (base_path / "1").symlink_to(Path(model_path).absolute(), target_is_directory=True)
        with (Path(folder) / "log").open("w+") as log:
            if infra.binary or infra.image:
                with serve_with_tensorflow_serving(infra, MODEL_NAME, base_path, log, timeout) as address:
                    yield address
                return
            flags = [f"--model_name={MODEL_NAME}", f"--model_base_path={base_path}"]
            with server_process(flags, log, TF_CPP_MIN_LOG_LEVEL="2") as process:
                yield f"localhost:{_wait_for_port(process, log, timeout)}"


def _wait_for_port(process: "subprocess.Popen[bytes]", log: IO[str], timeout: float) -> int:
    stdout = process.stdout
    end = time.monotonic() + timeout
    while stdout is not None and time.monotonic() < end:
        ready, _, _ = select.select([stdout], [], [], end - time.monotonic())
        line = stdout.readline() if ready else b""
        if line.startswith(_LISTENING):
            return int(line.removeprefix(_LISTENING).split()[0])
        if ready and not line:
            raise CandidateError(f"the server could not load the model: {last_line(process, log)}")
    raise CandidateError(f"the server did not answer within {timeout:.0f} seconds")
