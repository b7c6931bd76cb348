"""Names of the features in the raw tf.Examples: the one vocabulary that ingest, transform, trainer and serving share.

`docs/reference/data-layout.md` describes every feature; this module only names them.
"""

from typing import Final

USER_ID: Final = "user_id"
USER_KEY: Final = "user_key"
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
ALLOW_ITEM_ID: Final = "allow_item_id"
DIVERSITY: Final = "diversity"
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


def any_of(attribute: str) -> str:
    """A request's name of the values of a catalogue attribute that it asks for."""
    return f"filter_{attribute}"


def at_least(attribute: str) -> str:
    """A request's name of the smallest value of a catalogue attribute that it asks for."""
    return f"min_{attribute}"


def at_most(attribute: str) -> str:
    """A request's name of the greatest value of a catalogue attribute that it asks for."""
    return f"max_{attribute}"


def cap(attribute: str) -> str:
    """A request's name of the number of its items that may share a value of a catalogue attribute."""
    return f"cap_{attribute}"
