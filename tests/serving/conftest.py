from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.client import RecommenderClient
from tests.serving.models import RunningServer, save_model, serve


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with version 7 of the tiny model, for tests that change nothing."""
    base_path = tmp_path_factory.mktemp("shared") / "recommender"
    base_path.mkdir()
    save_model(base_path / "7")
    with serve(base_path) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[RecommenderClient]:
    with RecommenderClient(server.address, timeout=20.0) as connected:
        yield connected


@pytest.fixture
def base_path(tmp_path: Path) -> Path:
    """An empty model directory."""
    path = tmp_path / "recommender"
    path.mkdir()
    return path
