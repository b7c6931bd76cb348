"""What is known of a label without the network."""

from typing import Annotated, Final

from pydantic import Field, model_validator

from pipeline.config.base import Section
from pipeline.config.features import FeaturesConfig

NETWORK: Final = "network"
"""The part that is the network's own prediction."""
LEVELS: Final = "levels"
"""The part that is the bias model: the levels of user and item."""


class HabitsConfig(Section):
    """Beside the network's prediction: how high this user's and this item's labels lie (`levels`; Koren, "Factor in the
    neighbors", 2010), how far the user's own labels of items near to this one, or with the same author or genre, were
    from that (Sarwar et al., "Item-based collaborative filtering recommendation algorithms", 2001), how far the
    user's taste lets expect this one to be (`factors`), and how far the user's labels of just now were from all that
    (`mood`). Their weighted sum is predicted (Breiman, "Stacked regressions", 1996); of a binary task the log-odds are,
    the network's with the rest. Where labels are few a network alone is often no better than the levels.

    What a user's past events were labelled is read off an outcome, a categorical one that gives the label away; without
    one there are levels only."""

    cosine: int = Field(default=20, ge=0)
    """An item is near to so many others, those with the highest cosine of the users that labelled them. 0: none."""
    agreement: int = Field(default=20, ge=0)
    """And to so many whose labels rise and fall together most, by the shrunk correlation. 0: none."""
    factors: int = Field(default=8, ge=0)
    """The length of a taste: labels are a product of a user's taste and an item's factors, found by variational Bayes,
    around what is expected of those who had such items (Agarwal and Chen, "Regression-based latent factor models",
    2009). A user's taste is made from the history when asked, so a new user has one. 0: none."""
    mood: tuple[Annotated[int, Field(gt=0)], ...] = (60, 3600, 604800)
    """People label high or low for a while: the mean of what the labels of a history were above levels and taste, where
    one of a seconds ago counts exp(-a / `mood`), is a part `mood_60` and so on (Koren, "Collaborative filtering with
    temporal dynamics", 2009). []: none; nor has a log without times any."""
    attributes: tuple[str, ...] | None = None
    """Item features of kind `categorical`, `multi_valued` or `text`: an item's level is its own and its values', and
    items that share a value are near. Missing: all of the first two kinds."""
    damping: float = Field(default=0.3, gt=0)
    """Added to the sum of the weights of near items: with few of them the mean is drawn to the levels."""
    weights: dict[str, float] | None = None
    """Of `network`, `levels`, `cosine`, `agreement`, `factors`, `mood_60` and so on, the attributes by name. Missing:
    found after training by a regression on a random sample of the eval users, drawn to the levels alone as strongly as
    cross-validation over users says, and not below 0 unless that is better by more than a standard error. Without an
    eval split, or where it is trained on, the network is alone."""

    @property
    def moods(self) -> dict[str, int]:
        """The scales of `mood` by the names of their parts."""
        return {f"mood_{scale}": scale for scale in self.mood}

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of what can be weighed, beside the attributes."""
        return (NETWORK, LEVELS, "cosine", "agreement", "factors", *self.moods)

    def looks_for(self, part: str) -> bool:
        """Whether `cosine`, `agreement` or `factors` is there; what configured weights leave out is not looked for."""
        return getattr(self, part) > 0 and (self.weights is None or part in self.weights)

    def attributes_of(self, features: FeaturesConfig) -> tuple[str, ...]:
        """The attributes that are configured, or those that stand for them."""
        if self.attributes is not None:
            return self.attributes
        return tuple(feature.name for feature in features.item if feature.kind in ("categorical", "multi_valued"))

    @model_validator(mode="after")
    def _weights_are_of_what_is_there(self) -> "HabitsConfig":
        found = ("cosine", "agreement", "factors")
        absent = [name for name in found if name in (self.weights or {}) and not getattr(self, name)]
        if absent:
            raise ValueError(f"`weights` should name parts that are not 0. Received: {', '.join(absent)}")
        return self
