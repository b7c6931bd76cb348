"""Versions as they come, break and go, with loads that a test controls."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_pb2
from tensorflow_serving.config import model_server_config_pb2

from serving.server.calls import ServingError
from serving.server.repository import Repository, State


class Loads:
    """Loads every version but those in `broken`; counts the tries."""

    def __init__(self) -> None:
        self.broken: set[int] = set()
        self.tries: list[int] = []

    def __call__(self, name: str, version: int, path: str) -> Any:
        self.tries.append(version)
        if version in self.broken:
            raise ServingError(grpc.StatusCode.DATA_LOSS, f"{path} is broken")

        class Loaded(SimpleNamespace):
            pass

        return Loaded(name=name, version=version)


@pytest.fixture
def loads() -> Loads:
    return Loads()


Serve = Callable[..., Repository]


@pytest.fixture
def served(tmp_path: Path, loads: Loads) -> Serve:
    """Makes version folders, and a repository of the model `m` on them."""

    def serve(*versions: int, policy: str = "", retries: int = 0) -> Repository:
        for version in versions:
            (tmp_path / str(version)).mkdir()
        config = model_server_config_pb2.ModelConfig(name="m", base_path=str(tmp_path))
        text_format.Parse(policy, config)
        repository = Repository(loads, retries, 0.0)
        repository.configure([config])
        repository.poll()
        return repository

    return serve


def spec(name: str = "m") -> model_pb2.ModelSpec:
    return model_pb2.ModelSpec(name=name)


@pytest.mark.parametrize(
    ("policy", "loaded"),
    [
        ("", [7]),
        ("model_version_policy { latest { num_versions: 2 } }", [3, 7]),
        ("model_version_policy { all { } }", [2, 3, 7]),
        ("model_version_policy { specific { versions: 2 versions: 9 } }", [2]),
    ],
)
def test_version_policies(served: Serve, policy: str, loaded: list[int], tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    repository = served(2, 3, 7, policy=policy)
    assert repository.loaded() == {"m": loaded}
    assert repository.servable(spec()).version == loaded[-1]


def test_a_broken_version_is_not_tried_again_before_it_has_been_away(
    served: Serve, loads: Loads, tmp_path: Path
) -> None:
    repository = served(1)
    loads.broken = {3}
    (tmp_path / "3").mkdir()
    repository.poll()
    repository.poll()
    assert repository.servable(spec()).version == 1
    assert loads.tries.count(3) == 1, "no retries were configured"
    assert repository.failures() == {}, "a version answers"
    (tmp_path / "3").rmdir()
    repository.poll()
    loads.broken = set()
    (tmp_path / "3").mkdir()
    repository.poll()
    assert repository.servable(spec()).version == 3
    states = {version.number: version.state for version in repository.model("m").versions()}
    assert states == {3: State.AVAILABLE, 1: State.END}


def test_a_version_is_tried_again_as_often_as_asked(served: Serve, loads: Loads) -> None:
    loads.broken = {1}
    repository = served(1, retries=2)
    assert repository.failures() == {}
    for _ in range(4):
        repository.poll()
    assert loads.tries == [1, 1, 1]
    assert repository.failures()["m"].message.endswith("1 is broken")


def test_a_model_that_has_not_loaded_yet_is_unavailable_and_one_that_is_not_served_unknown(served: Serve) -> None:
    repository = served()
    for name, code in (("m", "UNAVAILABLE"), ("other", "NOT_FOUND"), ("", "INVALID_ARGUMENT")):
        with pytest.raises(ServingError) as raised:
            repository.servable(spec(name))
        assert raised.value.code.name == code
    repository.configure([])
    assert not repository.is_served("m")
