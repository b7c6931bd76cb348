"""What the model learns to predict."""

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from config.base import Section
from config.features import FeaturesConfig

NETWORK: Final = "network"
"""The part that is the network's own prediction."""
BIAS: Final = "bias"
"""The part that is the bias model: the levels of user and item."""


class RatingBaselineConfig(Section):
    """Beside the network's prediction: how high this user's and this item's labels lie (`bias`; Koren, "Factor in the
    neighbors", 2010), how far the user's own labels of items near to this one, or with the same author or genre, were
    from that (Sarwar et al., "Item-based collaborative filtering recommendation algorithms", 2001), how far the
    user's factors lets expect this one to be (`factors`), and how far the user's labels of just now were from all that
    (`session_bias`). Their weighted sum is predicted (Breiman, "Stacked regressions", 1996); of a binary task the log-odds are,
    the network's with the rest. Where labels are few a network alone is often no better than the levels.

    What a user's past events were labelled is read off an outcome, a categorical one that gives the label away; without
    one there are levels only."""

    cosine: int = Field(default=20, ge=0)
    """An item is near to so many others, those with the highest cosine of the users that labelled them. 0: none."""
    correlation: int = Field(default=20, ge=0)
    """And to so many whose labels rise and fall together most, by the shrunk correlation. 0: none."""
    factors: int = Field(default=8, ge=0)
    """The length of a taste: labels are a product of a user's factors and an item's factors, found by variational Bayes,
    around what is expected of those who had such items (Agarwal and Chen, "Regression-based latent factor models",
    2009). A user's factors is made from the history when asked, so a new user has one. 0: none."""
    session_bias: tuple[Annotated[int, Field(gt=0)], ...] = (60, 3600, 604800)
    """People label high or low for a while: the mean of what the labels of a history were above levels and taste, where
    one of a seconds ago counts exp(-a / `session_bias`), is a part `session_bias_60` and so on (Koren, "Collaborative filtering with
    temporal dynamics", 2009). []: none; nor has a log without times any."""
    attributes: tuple[str, ...] | None = None
    """Item features of kind `categorical`, `multi_valued` or `text`: an item's level is its own and its values', and
    items that share a value are near. Missing: all of the first two kinds."""
    damping: float = Field(default=0.3, gt=0)
    """Added to the sum of the weights of near items: with few of them the mean is drawn to the levels."""
    weights: dict[str, float] | None = None
    """Of `network`, `bias`, `cosine`, `correlation`, `factors`, `session_bias_60` and so on, the attributes by name. Missing:
    found after training by a regression on a random sample of the eval users, drawn to the levels alone as strongly as
    cross-validation over users says, and not below 0 unless that is better by more than a standard error. Without an
    eval split, or where it is trained on, the network is alone."""

    @property
    def session_biases(self) -> dict[str, int]:
        """The scales of `session_bias` by the names of their parts."""
        return {f"session_bias_{scale}": scale for scale in self.session_bias}

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of what can be weighted, beside the attributes."""
        return (NETWORK, BIAS, "cosine", "correlation", "factors", *self.session_biases)

    def looks_for(self, part: str) -> bool:
        """Whether `cosine`, `correlation` or `factors` is there; what configured weights leave out is not looked for."""
        return getattr(self, part) > 0 and (self.weights is None or part in self.weights)

    def attributes_of(self, features: FeaturesConfig) -> tuple[str, ...]:
        """The attributes that are configured, or those that stand for them."""
        if self.attributes is not None:
            return self.attributes
        return tuple(feature.name for feature in features.item if feature.is_sliceable)

    @model_validator(mode="after")
    def _weights_are_of_what_is_there(self) -> "RatingBaselineConfig":
        found = ("cosine", "correlation", "factors")
        absent = [name for name in found if name in (self.weights or {}) and not getattr(self, name)]
        if absent:
            raise ValueError(f"`weights` should name parts that are not 0. Received: {', '.join(absent)}")
        return self


class Task(Section):
    """What every task has."""

    weight: float = Field(default=1.0, ge=0)
    """The factor of the task's loss, a mean over the global batch."""


class HardNegatives(Section):
    """Negatives that the model itself scores best (Xiong et al., "Approximate Nearest Neighbor Negative Contrastive
    Learning", 2021): at each step one target of every window looks its best items up in an index of the catalogue."""

    per_window: int = Field(default=8, ge=1)
    """The best items, without targets and history, that each window of the batch adds."""
    refresh_steps: int = Field(default=100, ge=1)
    """The index holds the candidates' embeddings as they were up to so many steps ago."""


class RetrievalTask(Task):
    """Finds the next item in the whole catalogue: a softmax at every position of the window."""

    kind: Literal["retrieval"]
    negatives: Literal["auto", "full", "in_batch", "uniform", "frequency", "mixed", "hard"] = "auto"
    """What a target is compared with. `auto`: `full` up to 20,000 items, `frequency` beyond. `full`: the whole
    catalogue, in blocks where it is large. `in_batch`: the targets of the global batch, all replicas' (Yi et al.,
    "Sampling-Bias-Corrected Neural Modeling", 2019). `uniform`, `frequency`: `samples` items drawn by chance or by
    their train frequency. `mixed`: the batch's targets and `samples` uniform items (Yang et al., "Mixed Negative
    Sampling for Learning Two-tower Neural Networks", 2020). `hard`: mined items and `samples` drawn by frequency.
    Whatever is not `full` is corrected by the logarithm of the number of times that an item was to be expected (logQ),
    and costs the same however large the catalogue is."""
    samples: int = Field(default=1024, gt=0)
    """Draws for a global batch: of `uniform`, `frequency`, `mixed` and `hard`."""
    hard: HardNegatives = HardNegatives()
    """How `hard` ones are mined."""
    temperature: float = Field(default=0.07, gt=0)
    """The start of the learned temperature by which cosines are divided."""
    next_events: int = Field(default=5, ge=1)
    """The target is spread over the next so many positives, weighted by 1 / gap."""
    mask_history: bool = True
    """Items already in the history are no negatives (set false where users come back to items)."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)


class EventTask(Task):
    """A task with a mask and a head of its own. Events that `where` excludes have no loss."""

    where: str | None = None
    """An expression; the task sees only events where it holds."""
    hidden: tuple[int, ...] = (64,)
    """Widths of the head's layers."""


class LabelledTask(EventTask):
    """A task that scores an item for a user, with a label on the event. Where the label is missing is no loss."""

    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Of what the head sees in training: query, candidate and their product. Where labels are few, about a half."""
    label: str
    """An expression over the columns of the interactions: `rating`, `rating >= 4`, `kind == 'click'`."""


class PointwiseTask(LabelledTask):
    """A task that predicts the label itself."""

    baseline: RatingBaselineConfig | None = RatingBaselineConfig()
    """What users and items are like, beside the network. `null`: the network alone."""


class BinaryTask(PointwiseTask):
    """The probability of a yes: click, like, purchase. Cross-entropy. The label is 1 for a yes, 0 for a no or between
    them; an event whose label is another number is a bad row."""

    kind: Literal["binary"]
    positive_weight: float = Field(default=1.0, gt=0)
    """The factor of a yes in the loss, for rare ones: about the number of noes to a yes. Predictions stay
    probabilities: the factor is taken out of their odds again (Elkan, "The foundations of cost-sensitive
    learning", 2001)."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The share of the label that is spread evenly over yes and no (Szegedy et al., "Rethinking the Inception
    architecture", 2016)."""


class RegressionTask(PointwiseTask):
    """A number: a rating, a dwell time. Mean squared error."""

    kind: Literal["regression"]
    min: float | None = None
    max: float | None = None
    """Predictions are clipped to [min, max] outside training."""


class PairwiseTask(LabelledTask):
    """Of two events of a user near to each other, the item with the higher label gets the higher score, an unbounded
    number. Both items are scored from the query before the earlier event, which sees neither."""

    kind: Literal["pairwise"]
    loss: Literal["bpr", "hinge"] = "bpr"
    """Of the difference d of the two scores: `bpr`, log(1 + exp(-d)) (Rendle et al., "BPR: Bayesian personalized
    ranking from implicit feedback", 2009), so that d is the log-odds of the preference; `hinge`, max(0, margin - d)
    (Joachims, "Optimizing search engines using clickthrough data", 2002)."""
    margin: float = Field(default=1.0, gt=0)
    """`hinge` only."""
    within: int = Field(default=10, ge=1)
    """An event is paired with those among the so many events before it whose label and item differ."""


class ListwiseTask(LabelledTask):
    """Orders the items of a list of a user's events by their labels: a softmax over their scores, unbounded numbers.
    All items of a list are scored from the query before its first event, which sees none of them."""

    kind: Literal["listwise"]
    loss: Literal["listnet", "softmax"] = "listnet"
    """The cross-entropy of the scores' softmax with: `listnet`, the softmax of the labels, divided by their deviation
    (Cao et al., "Learning to rank: from pairwise approach to listwise approach", 2007); `softmax`, the labels'
    shares in their sum, negative ones as 0."""
    session: str | None = None
    """A column of the interactions: a list is the session's events, the last `length` of them. Missing: every event
    ends a list of `length` events."""
    length: int = Field(default=10, ge=2)
    """Events in a list at most. Lists whose labels are all the same have no loss."""


class MulticlassTask(EventTask):
    """The interest of a user: which values of an item feature the next event has. A softmax over the feature's
    vocabulary that reads the query alone. Several values share the target evenly; none is no loss."""

    kind: Literal["multiclass"]
    attribute: str
    """The name of an item feature of kind `categorical`, `multi_valued` or `text`."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The share of the target that is spread evenly over all classes."""


AnyEventTask = BinaryTask | RegressionTask | PairwiseTask | ListwiseTask | MulticlassTask
AnyTask = Annotated[RetrievalTask | AnyEventTask, Field(discriminator="kind")]
