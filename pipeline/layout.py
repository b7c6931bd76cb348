"""Names of the features in the raw tf.Examples: the one vocabulary that ingest, transform, trainer and serving share.

`docs/data-layout.md` describes every feature; this module only names them.
"""

from typing import Final

USER_ID: Final = "user_id"
ITEM_ID: Final = "item_id"
TIME: Final = "time"
IS_POSITIVE: Final = "is_positive"
IS_TARGET: Final = "is_target"

SEEN_ITEM_ID: Final = "seen_item_id"
IS_COLD_USER: Final = "is_cold_user"
TARGET_COUNT: Final = "target_count"
SPLIT: Final = "split"

CATALOGUE_ID: Final = "catalogue_id"

EXCLUDE_ITEM_ID: Final = "exclude_item_id"
CANDIDATE_ITEM_ID: Final = "candidate_item_id"
K: Final = "k"

WINDOW_SPLITS: Final = ("train", "eval", "test")
ITEMS_SPLIT: Final = "items"


def user_feature(name: str) -> str:
    """The example's name of a user feature."""
    return f"user_{name}"


def item_feature(name: str) -> str:
    """The example's name of a catalogue feature."""
    return f"item_{name}"


def context_feature(name: str) -> str:
    """The example's name of an event feature known at request time."""
    return f"context_{name}"


def outcome_feature(name: str) -> str:
    """The example's name of an event feature known only after the event."""
    return f"outcome_{name}"


def label(task: str) -> str:
    """The example's name of a ranking task's label."""
    return f"label_{task}"


def weight(task: str) -> str:
    """The example's name of a task's weight: 1 where the label exists and `where` holds, else 0."""
    return f"weight_{task}"


def session(task: str) -> str:
    """The example's name of the sessions of a listwise task."""
    return f"session_{task}"
