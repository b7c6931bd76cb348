import threading
from pathlib import Path

import pytest
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.config import model_server_config_pb2

from serving.flags import parse_flags
from serving.loading import session_config
from serving.model import Retries, State
from serving.options import read_options
from serving.repository import Repository
from serving.servable import Servable


@pytest.mark.parametrize(
    ("flags", "intra", "inter"),
    [
        ([], 0, -1),  # a request's operations in the thread that answers it
        (["--tensorflow_intra_op_parallelism=3"], 3, -1),
        (["--tensorflow_inter_op_parallelism=2"], 0, 2),
        (["--tensorflow_session_parallelism=4"], 4, 4),
        (["--tensorflow_session_parallelism=4", "--tensorflow_inter_op_parallelism=2"], 0, 2),
    ],
)
def test_threads_of_the_sessions(flags: list[str], intra: int, inter: int) -> None:
    config = session_config(read_options(parse_flags(["--model_base_path=/models", *flags])))
    assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == (intra, inter)


class _Loader:
    """Loads a version that is asked for once `may` is set."""

    def __init__(self) -> None:
        self.asked, self.may = threading.Event(), threading.Event()

    def __call__(self, name: str, version: int, path: str) -> Servable:
        self.asked.set()
        assert self.may.wait(10)
        return Servable(name, version, meta_graph_pb2.MetaGraphDef(), lambda feeds, fetches: [])


def test_a_model_that_goes_while_it_is_loaded_does_not_stay_in_memory(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    config = model_server_config_pb2.ModelConfig(name="m", base_path=str(tmp_path), model_platform="tensorflow")
    loader = _Loader()
    repository = Repository(loader, Retries())
    repository.configure([config])
    poll = threading.Thread(target=repository.poll)
    poll.start()
    assert loader.asked.wait(10)
    repository.configure([])
    loader.may.set()
    poll.join(10)
    model = repository.known_model("m")
    assert model is not None
    assert not model.answers()
    assert [version.state for version in model.versions()] == [State.END]
    model.poll()  # one that had begun before the model went
    assert not model.answers()
    repository.configure([config])
    repository.poll()
    assert model.answers(1)
