"""The tasks: what the model learns to predict."""

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from config.base import Section
from config.features import FeaturesConfig

WHOLE_CATALOGUE: Final = 20_000
"""The largest catalogue that `auto` negatives compare every target with; beyond, that would be most of a step's
work."""
NETWORK: Final = "network"
"""The part that is the network's own prediction."""
BIAS: Final = "bias"
"""The part that is the sum of the bias terms of user and item."""


class RatingBaselineConfig(Section):
    """Parts of a label's prediction beside the network's, whose weighted sum is predicted (Breiman, "Stacked
    regressions", 1996); for a binary task the log-odds are summed. With few labels, a network alone is often no better
    than the bias terms.

    The parts are: `bias`, the bias terms of user and item (Koren, "Factor in the neighbors", 2010); `cosine`,
    `correlation` and the item attributes, the mean deviation from the bias terms of the user's own labels of similar
    items (Sarwar et al., "Item-based collaborative filtering recommendation algorithms", 2001); `factors`, the product
    of user and item factors; and `session_bias_<seconds>`, the deviation of the user's recent labels from all of these.

    The labels of past events are read from a categorical outcome feature that determines the label. Without one, `bias`
    is the only part.
    """

    cosine: int = Field(default=20, ge=0)
    """The number of neighbours of an item, by the cosine of the users that labelled both. 0: no such part."""
    correlation: int = Field(default=20, ge=0)
    """The number of neighbours of an item, by the shrunk correlation of their labels. 0: no such part."""
    factors: int = Field(default=8, ge=0)
    """The length of the factors. A label is the product of the user's and the item's factors, which are fitted by
    variational Bayes around what the users' interactions predict (Agarwal and Chen, "Regression-based latent factor
    models", 2009). A user's factors are computed from the history of the request, so new users have some too. 0: no
    such part."""
    session_bias: tuple[Annotated[int, Field(gt=0)], ...] = (60, 3600, 604800)
    """The time scales in seconds. Each scale s adds a part `session_bias_<s>`: the mean deviation of the history's
    labels from bias terms and factors, in which an event of a seconds ago has the weight exp(-a / s) (Koren,
    "Collaborative filtering with temporal dynamics", 2009). `[]`: no such part, as for a log without times."""
    attributes: tuple[str, ...] | None = None
    """Item features of kind `categorical`, `multi_valued` or `text`. The bias term of an item is the sum of its own and
    its values', and the labels of items that share a value are averaged. Defaults to all of the first two kinds."""
    damping: float = Field(default=0.3, gt=0)
    """Added to the sum of the weights of neighbours, so that means over few neighbours are shrunk to the bias terms."""
    weights: dict[str, float] | None = None
    """The weights by part: `network`, `bias`, `cosine`, `correlation`, `factors`, `session_bias_60` and so on, and the
    attributes by name. Defaults to a regression after training on a random sample of the eval users, shrunk to the bias
    terms alone as strongly as cross-validation over users selects, and without negative weights unless these are better
    by more than one standard error. Without an eval split, or if it is trained on, the network predicts alone."""

    @property
    def session_biases(self) -> dict[str, int]:
        """The scales of `session_bias` by the names of their parts."""
        return {f"session_bias_{scale}": scale for scale in self.session_bias}

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of all parts but the attributes."""
        return (NETWORK, BIAS, "cosine", "correlation", "factors", *self.session_biases)

    def looks_for(self, part: str) -> bool:
        """Returns whether `cosine`, `correlation` or `factors` is fitted: it is not 0, and configured weights name
        it."""
        return getattr(self, part) > 0 and (self.weights is None or part in self.weights)

    def attributes_of(self, features: FeaturesConfig) -> tuple[str, ...]:
        """Returns the configured attributes, or the item features that are the default."""
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
    """The factor of the task's loss, which is a mean over the global batch."""


class HardNegatives(Section):
    """Negatives that the model itself scores highest (Xiong et al., "Approximate Nearest Neighbor Negative Contrastive
    Learning", 2021). At each step, the best items for one target of every window are searched in an index of the
    catalogue."""

    per_window: int = Field(default=8, ge=1)
    """The number of negatives that each window of the batch adds. Its targets and its history are excluded."""
    refresh_steps: int = Field(default=100, ge=1)
    """The number of steps after which the index is built anew from the current embeddings."""


class RetrievalTask(Task):
    """Finds the next item in the whole catalogue: a softmax at every position of the window."""

    kind: Literal["retrieval"]
    negatives: Literal["auto", "full", "in_batch", "uniform", "frequency", "mixed", "hard"] = "auto"
    """The negatives of a target. `auto`: `full` up to 20,000 items, `frequency` beyond. `full`: the whole catalogue, in
    blocks if it is large. `in_batch`: the targets of the global batch, of all replicas (Yi et al.,
    "Sampling-Bias-Corrected Neural Modeling", 2019). `uniform`, `frequency`: `samples` items drawn uniformly or by
    train frequency. `mixed`: the batch's targets and `samples` uniform items (Yang et al., "Mixed Negative Sampling for
    Learning Two-tower Neural Networks", 2020). `hard`: hard negatives and `samples` items drawn by frequency. All but
    `full` are corrected by the logarithm of an item's expected count (logQ), and their cost does not depend on the size
    of the catalogue."""
    samples: int = Field(default=1024, gt=0)
    """The number of items that are drawn for a global batch by `uniform`, `frequency`, `mixed` and `hard`."""
    hard: HardNegatives = HardNegatives()
    """The search for `hard` negatives."""
    temperature: float = Field(default=0.07, gt=0)
    """The initial value of the learned temperature that cosines are divided by."""
    next_events: int = Field(default=5, ge=1)
    """The number of next positives that the target is spread over, weighted by 1 / gap."""
    mask_history: bool = True
    """Whether items of the history are excluded from the negatives. Set it to false if users return to items."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The share of the target that is spread evenly over all items."""

    def negatives_of(self, items: int) -> str:
        """Returns the kind of negatives, `auto` resolved, of a catalogue of so many items."""
        if self.negatives != "auto":
            return self.negatives
        return "full" if items <= WHOLE_CATALOGUE else "frequency"


class EventTask(Task):
    """A task with a head of its own. Events that `where` excludes have no loss."""

    where: str | None = None
    """An expression: the task is trained on the events for which it is true. Defaults to all events."""
    hidden: tuple[int, ...] = (64,)
    """The widths of the head's hidden layers."""


class LabelledTask(EventTask):
    """A task that scores an item for a user and has a label on the event. Events without a label have no loss."""

    dropout: float = Field(default=0.0, ge=0, lt=1)
    """The dropout rate of the head's inputs: query, candidate and their product. With few labels, about 0.5."""
    label: str
    """An expression over the columns of the interactions: `rating`, `rating >= 4`, `kind == 'click'`."""


class PointwiseTask(LabelledTask):
    """A task that predicts the label itself."""

    baseline: RatingBaselineConfig | None = RatingBaselineConfig()
    """The parts of the prediction beside the network's. `null`: the network predicts alone."""


class BinaryTask(PointwiseTask):
    """The probability of a positive label: click, like, purchase. Trained by cross-entropy. The label is in [0, 1]; an
    event with another number is a bad row."""

    kind: Literal["binary"]
    positive_weight: float = Field(default=1.0, gt=0)
    """The factor of positive labels in the loss, for rare ones: about the number of negative labels per positive one.
    Predictions stay probabilities, since the factor is divided out of their odds (Elkan, "The foundations of
    cost-sensitive learning", 2001)."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The share of the label that is spread evenly over both classes (Szegedy et al., "Rethinking the Inception
    architecture", 2016)."""


class RegressionTask(PointwiseTask):
    """A number, such as a rating or a dwell time. Trained by mean squared error."""

    kind: Literal["regression"]
    min: float | None = None
    """The lower bound that predictions are clipped to outside training."""
    max: float | None = None
    """The upper bound that predictions are clipped to outside training."""


class PairwiseTask(LabelledTask):
    """Of two events of a user that are close to each other, the item with the higher label gets the higher score, an
    unbounded number. Both items are scored from the query before the earlier event, which has seen neither."""

    kind: Literal["pairwise"]
    loss: Literal["bpr", "hinge"] = "bpr"
    """The loss of the difference d of the two scores. `bpr`: log(1 + exp(-d)) (Rendle et al., "BPR: Bayesian
    personalized ranking from implicit feedback", 2009), so that d is the log-odds of the preference. `hinge`: max(0,
    margin - d) (Joachims, "Optimizing search engines using clickthrough data", 2002)."""
    margin: float = Field(default=1.0, gt=0)
    """The margin of `hinge`."""
    within: int = Field(default=10, ge=1)
    """The number of events before an event that it is paired with, if their labels and items differ."""


class ListwiseTask(LabelledTask):
    """Orders the items of a list of a user's events by their labels: a softmax over their scores, which are unbounded
    numbers. All items of a list are scored from the query before its first event, which has seen none of them."""

    kind: Literal["listwise"]
    loss: Literal["listnet", "softmax"] = "listnet"
    """The cross-entropy of the scores' softmax with a target distribution. `listnet`: the softmax of the labels,
    divided by their standard deviation (Cao et al., "Learning to rank: from pairwise approach to listwise approach",
    2007). `softmax`: the labels' shares of their sum, with negative labels as 0."""
    session: str | None = None
    """A column of the interactions with session ids: a list is the last `length` events of a session. Defaults to a
    list of the last `length` events at every event."""
    length: int = Field(default=10, ge=2)
    """The maximum number of events in a list. Lists with equal labels have no loss."""


class MulticlassTask(EventTask):
    """The interest of a user: the values of an item feature that the next event has. A softmax over the feature's
    vocabulary, computed from the query alone. Several values share the target evenly; an item without a value has no
    loss."""

    kind: Literal["multiclass"]
    attribute: str
    """The name of an item feature of kind `categorical`, `multi_valued` or `text`."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The share of the target that is spread evenly over all classes."""


AnyEventTask = BinaryTask | RegressionTask | PairwiseTask | ListwiseTask | MulticlassTask
AnyTask = Annotated[RetrievalTask | AnyEventTask, Field(discriminator="kind")]
