import pytest

from tests.transform.test_raw import sparse
from transform.ids import item_counts
from transform.raw import RawExamples


@pytest.mark.parametrize(
    ("min_count", "is_listed", "expected"),
    [
        (2, True, {b"a": 3, b"b": 3, b"new": 2}),  # a table lists them: all are known
        (2, False, {b"a": 1, b"b": 1, b"new": 0}),  # a log alone: its rare items are not
        (1, False, {b"a": 2, b"b": 2, b"new": 1}),
    ],
)
def test_the_catalogue_is_known_where_a_table_lists_it_or_every_item_is(
    min_count: int, is_listed: bool, expected: dict[bytes, int]
) -> None:
    features = {"item_id": [["a", "b", "c"], [], [], []], "catalogue_id": [[], ["a"], ["b"], ["new"]]}
    flags = {"is_target": [[1, 1, 0], [], [], []], "is_positive": [[1, 0, 1], [], [], []]}
    raw = RawExamples({name: sparse(rows) for name, rows in (features | flags).items()})
    counted = item_counts(raw, min_count, is_listed)
    sums: dict[bytes, int] = {}
    for token, count in zip(counted.tokens.numpy(), counted.counts.numpy(), strict=True):
        sums[token] = sums.get(token, 0) + int(count)
    assert sums == expected
