"""The gate of a refresh: a version with a new catalogue is pushed only where all of it holds."""

from collections.abc import Iterator
from typing import Final

from config import Config
from trainer.refresh import Changes, Refreshed

SCORES: Final = 1e-5
"""The most that the score of an item whose features are the same may change by."""
_RECALL: Final = 0.01
"""The index's recall is measured on a sample of queries."""


def change_faults(changes: Changes, max_withdrawn: float) -> Iterator[str]:
    """Yields why a new table should not replace the catalogue, before any work.

    Args:
      changes: What it changes.
      max_withdrawn: The largest share of the items that may be withdrawn.
    """
    before = changes.items - len(changes.new) + len(changes.withdrawn)
    share = len(changes.withdrawn) / max(before, 1)
    if share > max_withdrawn:
        yield (
            f"{len(changes.withdrawn):,} of {before:,} items are not in the new table ({share:.0%}), and at most "
            f"{max_withdrawn:.0%} may be withdrawn at once (`--max-withdrawn`). Is the table whole?"
        )


def model_faults(refreshed: Refreshed, config: Config) -> Iterator[str]:
    """Yields what of the refreshed model is not as it should be."""
    before, after = refreshed.digests
    if before != after:
        yield f"the trained weights should not change. SHA-256 before: {before}; after: {after}"
    if refreshed.difference is not None and not refreshed.difference <= SCORES:
        yield f"scores of unchanged items should change by at most {SCORES:g}. Found: {refreshed.difference:.2g}"
    wanted = config.serving.recall_target - _RECALL
    if refreshed.index.kind != "exact" and refreshed.index.recall < wanted:
        yield (
            f"the index should find {wanted:.1%} of the best items (`serving.recall_target`). "
            f"Found: {refreshed.index.recall:.1%}"
        )
