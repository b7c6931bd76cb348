"""Neighbourhoods of items beside the towers."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline.config.base import Section

NeighbourKind = Literal["cosine", "regression", "transitions"]


class NeighboursConfig(Section):
    """What the train log says about pairs of items, added to the retrieval score as it is: the towers generalise,
    neighbourhoods remember (Cheng et al., "Wide & Deep Learning for Recommender Systems", 2016). Little is needed for
    it where items are many and events few, which is where towers are weak."""

    cosine: int = Field(default=20, ge=0)
    """An item is near to so many others, those with the highest cosine of their users; it scores by the sum over the
    whole history (Deshpande and Karypis, "Item-based top-N recommendation algorithms", 2004). 0: none."""
    regression: int = Field(default=50, ge=0)
    """Each item is regressed on all others that a user has, so that an item which only goes with another one says
    nothing beside it (Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", 2019); so many others with the
    greatest coefficients are kept for each. 0: none."""
    regression_items: int = Field(default=8192, gt=0)
    """Only so many items take part, the most frequent: time grows with their cube, memory with their square."""
    l2: float = Field(default=300, gt=0)
    """Of the regression."""
    transitions: int = Field(default=50, ge=0)
    """From each item so many others are remembered, those that followed it most within `window` events, an event at
    distance n counting `decay` ** (n - 1); the history's newest event but n counts `decay` ** n. Only where a
    user's events have an order: times, or `split.ties: rows`. 0: none."""
    window: int = Field(default=10, gt=0)
    decay: float = Field(default=0.8, gt=0, le=1)
    damping: float = Field(default=0.3, ge=0, le=1)
    """Counts of transitions are divided by the frequency of where they lead to, to this power."""
    weights: dict[NeighbourKind, float] | None = None
    """Of each kind in the score. Missing: chosen after training by the NDCG@100 of a random sample of the eval users,
    warm and cold in their shares. A kind that does not help is left out, and the run says with which figures; so are
    all kinds where there is no eval split or it is trained on."""

    def looks_for(self, kind: NeighbourKind) -> bool:
        """Whether the kind is there; what configured weights leave out is not looked for."""
        return getattr(self, kind) > 0 and bool(self.weights is None or self.weights.get(kind))

    @model_validator(mode="after")
    def _weights_are_of_what_is_there(self) -> "NeighboursConfig":
        absent = sorted(name for name in self.weights or {} if not getattr(self, name))
        if absent:
            raise ValueError(f"`weights` should name kinds that are not 0. Received: {', '.join(absent)}")
        return self
