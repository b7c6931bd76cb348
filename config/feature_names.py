"""Names of the features in the raw tf.Examples, which ingest, transform, trainer and serving share.

`docs/reference/data-layout.md` describes every feature.
"""

from typing import Final

USER_ID: Final = "user_id"
USER_KEY: Final = "user_key"
ITEM_ID: Final = "item_id"
TIME: Final = "time"
IS_POSITIVE: Final = "is_positive"
IS_TARGET: Final = "is_target"

SEEN_ITEM_ID: Final = "seen_item_id"
SEEN_START: Final = "seen_start"
SEEN_COUNT: Final = "seen_count"
IS_COLD_USER: Final = "is_cold_user"
TARGET_COUNT: Final = "target_count"
SPLIT: Final = "split"

CATALOGUE_ID: Final = "catalogue_id"

EXCLUDE_ITEM_ID: Final = "exclude_item_id"
CANDIDATE_ITEM_ID: Final = "candidate_item_id"
ALLOW_ITEM_ID: Final = "allow_item_id"
DIVERSITY: Final = "diversity"
K: Final = "k"

WINDOW_SPLITS: Final = ("train", "eval", "test")
ITEMS_SPLIT: Final = "items"


def user_feature(name: str) -> str:
    """The name of a user feature in the examples."""
    return f"user_{name}"


def item_feature(name: str) -> str:
    """The name of a catalogue feature in the examples."""
    return f"item_{name}"


def context_feature(name: str) -> str:
    """The name in the examples of an event feature that is known at request time."""
    return f"context_{name}"


def outcome_feature(name: str) -> str:
    """The name in the examples of an event feature that is known only after the event."""
    return f"outcome_{name}"


def label(task: str) -> str:
    """The name of a ranking task's label in the examples."""
    return f"label_{task}"


def weight(task: str) -> str:
    """The name of a task's weight in the examples: 1 where the label exists and `where` is true, else 0."""
    return f"weight_{task}"


def session(task: str) -> str:
    """The name of a listwise task's sessions in the examples."""
    return f"session_{task}"


def any_of(attribute: str) -> str:
    """The name in requests of the allowed values of a catalogue attribute."""
    return f"filter_{attribute}"


def at_least(attribute: str) -> str:
    """The name in requests of the minimum of a catalogue attribute."""
    return f"min_{attribute}"


def at_most(attribute: str) -> str:
    """The name in requests of the maximum of a catalogue attribute."""
    return f"max_{attribute}"


def cap(attribute: str) -> str:
    """The name in requests of the maximum number of items that share a value of a catalogue attribute."""
    return f"cap_{attribute}"
