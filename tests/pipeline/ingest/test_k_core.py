import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to

from config.data import Core
from pipeline.ingest.findings import merge
from pipeline.ingest.k_core import KeepCore
from pipeline.ingest.shuffle import from_bytes, partition
from tests.pipeline.ingest.reference import beam_pipeline

# a, b, c each like x and y; d likes x and z; z has d alone. Users need 2, items 2.
PAIRS = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("c", "x"), ("c", "y"), ("d", "x"), ("d", "z")]
# A chain that each round shortens by one item and one user: p0 - q0 - p1 - q1 - ...
CHAIN = [(f"p{n}", f"q{n}") for n in range(6)] + [(f"p{n + 1}", f"q{n}") for n in range(6)]


def _run(pairs, core, checks):
    table = pa.table({"user": [u for u, _ in pairs], "item": [i for _, i in pairs]})
    with beam_pipeline() as pipeline:
        kept, counts = pipeline | beam.Create(list(partition(table, "user", 3))) | KeepCore(core, max_items=100)
        rows = kept | beam.FlatMap(lambda b: [tuple(r.values()) for r in from_bytes([b[1]]).to_pylist()])
        total = counts | beam.CombineGlobally(merge) | beam.Map(lambda c: c.counts["interactions", "dropped", "core"])
        assert_that(rows, equal_to(checks[0]), label="rows")
        assert_that(total, equal_to([checks[1]]), label="dropped")


def test_a_removed_item_takes_its_user_with_it():
    _run(PAIRS, Core(users=2, items=2, rounds=2), (PAIRS[:6], 2))


@pytest.mark.parametrize(("rounds", "users"), [(1, {"p2", "p3", "p4"}), (2, {"p3"}), (3, set())])
def test_rounds(rounds, users):
    # p0 and p6 have one event and fall at once; then q0 and q5 have one left, then p1 and p5, and so on.
    kept = [(user, item) for user, item in CHAIN if user in users]
    _run(CHAIN, Core(users=2, items=2, rounds=rounds), (kept, len(CHAIN) - len(kept)))
