"""How the tests are divided between processes."""

import pytest
from xdist.scheduler import LoadScopeScheduling

import pipeline  # noqa: F401  (chooses Keras 2 before a test's own imports bring TensorFlow)


class _ByFile(LoadScopeScheduling):
    """A file is one process's, and so are all of tests/e2e: they share one pipeline."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return "tests/e2e" if file.startswith("tests/e2e/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _ByFile:
    """`python -m pytest -n 2` divides by file."""
    return _ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """tests/e2e, the longest, starts first."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/e2e/"))
