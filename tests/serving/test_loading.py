import pytest

from serving.flags import parse_flags
from serving.loading import session_config
from serving.options import read_options


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
