"""Input dropout by part: training hides parts of its windows, so that the model learns what "missing" means."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import tensorflow as tf

from config import Config, feature_names
from config.training import HidingConfig
from trainer.data.catalogue import missing_value
from trainer.data.windows import Window
from trainer.distributed.randomness import Randomness
from transform.features import ModelFeature

_COMMON_DRAW: Final = 0.5
"""The share of the windows whose parts are hidden by one common draw, all at once."""


class Known(NamedTuple):
    """What the queries at Q positions (all of them, or the last alone) may know of a window.

    Attributes:
        past: the window [B, L] as later queries see its events.
        moment: what a query knows of its own event, by name: `time` int64 [B, Q], 0 where unknown, and the context
            features [B, Q].
        user_id: int64 [B, Q] or [B, 1], U where unknown.
        without_user: bool [B, Q], True where the user's features are unknown; None where they are known everywhere.
    """

    past: Window
    moment: Window
    user_id: tf.Tensor
    without_user: tf.Tensor | None = None

    def newest(self) -> "Known":
        """Returns the same for the query at the last position alone."""
        moment = {name: values[:, -1:] for name, values in self.moment.items()}
        without = None if self.without_user is None else self.without_user[:, -1:]
        return Known(self.past, moment, self.user_id[:, -1:], without)


class Hiding(tf.keras.layers.Layer):
    """Hides a configured share of each part of the windows in training.

    Half of the windows draw once for all parts, so that requests that lack everything occur too; in the others each
    part has a draw of its own.

    Args:
        config: the configuration with the shares.
        features: all features.
        user_count: U, the index of unknown users.
        randomness: the seeds of the draws.
    """

    def __init__(
        self, config: Config, features: Sequence[ModelFeature], user_count: int, randomness: Randomness
    ) -> None:
        super().__init__(name="hiding")
        self._context = [f for f in features if f.section == "context"]
        self._outcomes = [f for f in features if f.section == "outcome"]
        self._clocks = [f for f in self._context if f.name in config.clock_features]
        self._user_count = user_count
        self._draws = _Draws(_shares(config, features), randomness)

    def call(self, window: Window, training: bool = False) -> Known:
        """Returns what the queries of a window [B, L] may know; outside training that is all of it."""
        moment = {name: window[name] for name in (feature_names.TIME, *(f.name for f in self._context))}
        user = window[feature_names.USER_ID][:, tf.newaxis]
        hidden = self._draws(tf.shape(window[feature_names.TIME])) if training else {}
        if not hidden:
            return Known(window, moment, user)
        past = dict(window)
        for part, own in (("times", self._clocks), ("outcomes", self._outcomes), ("context", self._context)):
            _hide(past, own, hidden.get(part))
        _hide_times(past, hidden.get("times"))
        for part, own in (("request_time", self._clocks), ("request_context", self._context)):
            _hide(moment, own, hidden.get(part))
        _hide_times(moment, hidden.get("request_time"))
        if "user_id" in hidden:
            user = tf.where(hidden["user_id"], tf.cast(self._user_count, user.dtype), user)
        return Known(past, moment, user, hidden.get("user"))


class _Draws:
    """Draws which parts are hidden where.

    Args:
        shares: the hidden share by part.
        randomness: the seeds of the draws.
    """

    def __init__(self, shares: dict[str, float], randomness: Randomness) -> None:
        self._shares = shares
        self._randomness = randomness
        self._sites = {part: randomness.new_site() for part in shares}
        self._site = randomness.new_site() if shares else 0

    def __call__(self, shape: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns by part bool [B, L] (`shape`), for the parts that are hidden in whole windows bool [B, 1]."""
        if not self._shares:
            return {}
        is_common, common = tf.split(self._uniform(self._site, [shape[0], 2]), 2, axis=1)
        hidden = {}
        for part, share in self._shares.items():
            own = self._uniform(self._sites[part], [shape[0], 1] if part in _OF_WINDOWS else shape)
            hidden[part] = tf.where(is_common < _COMMON_DRAW, common, own) < share
        return hidden

    def _uniform(self, site: int, shape: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, self._randomness.replica_seed(site))


_OF_WINDOWS: Final = ("times", "outcomes", "context")
"""Parts that are hidden in whole windows: events are encoded once for the queries of all later positions."""


def _shares(config: Config, features: Sequence[ModelFeature]) -> dict[str, float]:
    """Returns the hidden share by part, for parts that the model reads."""
    hide = config.training.hide or HidingConfig(**dict.fromkeys(HidingConfig.model_fields, 0.0))
    sections = {feature.section for feature in features}
    has_times = config.data.interactions.time is not None
    shares = {
        "times": hide.times if has_times else 0,
        "request_time": hide.request_time if has_times else 0,
        "outcomes": hide.outcomes if "outcome" in sections else 0,
        "context": hide.context if "context" in sections else 0,
        "request_context": hide.context if "context" in sections else 0,
        "user": hide.user if "user" in sections else 0,
        "user_id": hide.user_id if config.model.user_id != "none" else 0,
    }
    return {part: share for part, share in shares.items() if share}


def _hide(window: Window, features: Sequence[ModelFeature], hidden: tf.Tensor | None) -> None:
    """Replaces features by their missing value where they are hidden."""
    for feature in features if hidden is not None else ():
        values = window[feature.name]
        window[feature.name] = tf.where(hidden, tf.cast(missing_value(feature), values.dtype), values)


def _hide_times(window: Window, hidden: tf.Tensor | None) -> None:
    if hidden is not None:
        window[feature_names.TIME] = tf.where(hidden, tf.zeros([], tf.int64), window[feature_names.TIME])
