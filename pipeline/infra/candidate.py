"""The candidate model in a server of its own: a process, a UNIX socket, a limit on the time it may take."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from config.serving import InfraConfig
from pipeline.infra.tensorflow_serving import CandidateError, last_line, serve_with_tensorflow_serving
from serving.server.process import server_process, socket_folder, wait_for_address

MODEL_NAME: Final = "candidate"


@contextmanager
def serve_candidate(model_path: str, infra: InfraConfig, timeout: float) -> Iterator[str]:
    """The address of a server that answers with the SavedModel in `model_path`, until the block ends.

    The embedded server, or TensorFlow Serving where `infra` names one. Nothing listens on the network, and nothing is
    left when this process is killed. `timeout` is in seconds. Raises `CandidateError`
    when the server ends, or does not answer by then, and `ServerMissingError` when there is no such server.
    """
    with socket_folder("candidate-") as folder:
        base_path, socket = folder / "versions", folder / "socket"
        base_path.mkdir()
        (base_path / "1").symlink_to(Path(model_path).absolute(), target_is_directory=True)
        with (folder / "log").open("w+") as log:
            if infra.binary or infra.image:
                with serve_with_tensorflow_serving(infra, MODEL_NAME, base_path, socket, log, timeout) as address:
                    yield address
                return
            flags = [f"--model_name={MODEL_NAME}", f"--model_base_path={base_path}", f"--grpc_socket_path={socket}"]
            with server_process(flags, log, TF_CPP_MIN_LOG_LEVEL="2") as process:
                try:
                    address = wait_for_address(process, timeout)
                except EOFError as error:
                    found = last_line(process, log)
                    raise CandidateError(f"the server could not load the model: {found}") from error
                except TimeoutError as error:
                    raise CandidateError(str(error)) from error
                yield address
