from pathlib import Path

import pytest
from tensorflow_serving.config import model_server_config_pb2

from serving.flags import parse_flags
from serving.loading import session_config
from serving.options import read_options
from serving.threads import SMALL, operation_threads

MEGABYTE = 1 << 20


def models(*folders: Path) -> model_server_config_pb2.ModelServerConfig:
    config = model_server_config_pb2.ModelServerConfig()
    for folder in folders:
        config.model_config_list.config.add(name=folder.name, base_path=str(folder))
    return config


def write_version(base: Path, number: int, *shards: int) -> Path:
    """A version with variables of so many bytes, of which the disk holds none."""
    folder = base / str(number) / "variables"
    folder.mkdir(parents=True)
    for shard, size in enumerate(shards):
        with open(folder / f"variables.data-{shard:05d}-of-{len(shards):05d}", "wb") as file:
            file.truncate(size)
    return base


@pytest.mark.parametrize(
    ("shards", "threads"),
    [((SMALL - 1,), 1), ((SMALL,), 0), ((SMALL // 2, SMALL // 2), 0), ((), 1)],
    ids=["small", "large", "large in two files", "without variables"],
)
def test_an_operation_of_a_small_model_runs_in_one_thread(tmp_path: Path, shards: tuple[int, ...], threads: int):
    assert operation_threads(models(write_version(tmp_path / "shop", 1, *shards))) == threads


def test_one_large_model_among_small_ones_gets_all_cores(tmp_path: Path):
    small, large = write_version(tmp_path / "small", 1, MEGABYTE), write_version(tmp_path / "large", 1, 99 * MEGABYTE)
    assert operation_threads(models(small, large)) == 0


def test_only_versions_that_will_be_loaded_count(tmp_path: Path):
    base = write_version(write_version(tmp_path / "shop", 1, 99 * MEGABYTE), 2, MEGABYTE)
    config = models(base)
    assert operation_threads(config) == 1
    config.model_config_list.config[0].model_version_policy.all.SetInParent()
    assert operation_threads(config) == 0


def test_where_nothing_is_there_yet_all_cores_may_be_needed(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    assert operation_threads(models(tmp_path / "empty")) == operation_threads(models(tmp_path / "missing")) == 0


@pytest.mark.parametrize(("flags", "threads"), [([], 1), (["--tensorflow_intra_op_parallelism=2"], 2)])
def test_a_flag_goes_before_it(tmp_path: Path, flags: list[str], threads: int):
    base = write_version(tmp_path / "shop", 1, MEGABYTE)
    options = read_options(parse_flags([f"--model_base_path={base}", *flags]))
    assert session_config(options).intra_op_parallelism_threads == threads
