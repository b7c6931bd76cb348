import numpy as np
import pytest

from config.serving import ServingConfig
from tests.trainer.export.index.test_approximate import clustered
from trainer.export.index import build
from trainer.export.index.build import Sample, build_index, fitting_units
from trainer.export.index.partitions import Partitions


@pytest.fixture(autouse=True)
def _small_catalogues_count(monkeypatch):
    monkeypatch.setattr(build, "SMALLEST", 1000)
    monkeypatch.setattr(build, "_SHORTLIST_SHARE", 1 / 4)


@pytest.fixture(scope="module")
def data():
    return clustered(8000, 300)


@pytest.mark.parametrize("kind", ["int8", "ivf"])
def test_the_target_is_reached_on_other_queries_too(data, kind):
    items, queries = data
    index, report = build_index(items, queries[:200], ServingConfig(index=kind, recall_target=0.95))
    assert (index.kind, report.kind, report.items) == (kind, kind, 8000)
    assert report.recall >= 0.95
    assert Sample.of(items[:-1], queries[200:], 100).recall(index) > 0.92
    assert report.scanned_bytes < 0.7 * items.nbytes < report.total_bytes


def test_the_default_is_exact(data):
    index, report = build_index(*data, ServingConfig())
    assert (index.kind, report.recall, report.parameters) == ("exact", 1.0, {})


def test_a_small_catalogue_is_searched_exactly(data):
    items, queries = data
    assert build_index(items[:1000], queries, ServingConfig(index="ivf"))[0].kind == "exact"


def test_what_cannot_be_partitioned_is_scanned():
    generator = np.random.default_rng(0)
    items, queries = (generator.standard_normal((count, 48)).astype(np.float32) for count in (4001, 100))
    assert build_index(items, queries, ServingConfig(index="ivf", recall_target=0.9))[0].kind == "int8"


def test_what_needs_too_long_a_shortlist_is_searched_exactly(data, monkeypatch):
    monkeypatch.setattr(build, "_SHORTLIST_SHARE", 1e-6)
    assert build_index(*data, ServingConfig(index="int8", recall_target=1.0))[0].kind == "exact"


def test_parameters_of_the_configuration_are_taken_as_they_are(data):
    serving = ServingConfig(index="ivf", partitions=100, probes=3, shortlist=123)
    report = build_index(*data, serving)[1]
    parameters = report.parameters
    assert (parameters["probes"], parameters["shortlist"]) == (3, 123)
    assert 80 <= parameters["partitions"] <= 120
    assert build_index(*data, ServingConfig(index="int8", shortlist=77))[1].parameters == {"shortlist": 77}


def test_without_queries_the_items_stand_for_them(data):
    items = data[0]
    index, _ = build_index(items, items[:0], ServingConfig(index="ivf", recall_target=0.9))
    assert index.kind == "ivf"


def test_the_sample_knows_the_exact_answer():
    sample = Sample.of(np.eye(3, dtype=np.float32), np.array([[3, 1, 2]]), 5)
    assert sample.top.tolist() == [[0, 2, 1]]


def test_fitting_units_reach_the_share():
    made = Partitions.of(np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([0, 1, 2, 3]))
    sample = Sample(np.array([[1.0]], np.float32), np.array([[3, 2, 0]]))
    assert [fitting_units(made, np.arange(4), sample, share)[0] for share in (0.0, 0.5, 1.0)] == [1, 2, 4]
