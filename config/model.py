"""The model's shape."""

from typing import Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from config.base import Method, Section


class SharingConfig(Method):
    """How the tasks, retrieval among them, share the query's state; the method's name alone may stand for it."""

    method: Literal["hard", "cross_stitch", "mmoe", "ple"] = "hard"
    """`hard`: one state for all (Caruana, 1997). `cross_stitch`: layers of each task's own whose activations are
    mixed (Misra et al., 2016). `mmoe`: common experts, a gate for each task (Ma et al., 2018). `ple`: common and own
    experts, gated level by level (Tang et al., 2020)."""
    experts: int = Field(default=4, gt=0)
    """`mmoe`: all experts. `ple`: the common ones of a level."""
    task_experts: int = Field(default=2, gt=0)
    """`ple`: experts of each task's own, in each level."""
    levels: int = Field(default=2, gt=0)
    """`cross_stitch`: layers of each task's tower. `ple`: levels of experts."""
    expert_width: int | None = Field(default=None, gt=0)
    """Of each expert or tower layer, and so of the tasks' states; `dimension` when missing."""
    residual: bool = True
    """Experts and towers add to the shared state, which reaches every task as it is with `hard` (He et al., "Deep
    Residual Learning for Image Recognition", 2016). False: they replace it, as in the papers above."""

    @model_validator(mode="after")
    def _adds_what_is_as_wide(self) -> "SharingConfig":
        if self.expert_width is not None and self.residual:
            raise ValueError(
                "`expert_width` should be left out, or `residual` false: what is added is `dimension` wide"
            )
        return self


class GeneratorConfig(Section):
    """A network that makes an item's vector of its content alone, trained against a critic.

    The critic tells generated vectors from learned ones of items of the same content: a Wasserstein distance with
    gradient penalty (Gulrajani et al., "Improved Training of Wasserstein GANs", 2017), conditioned on the content
    (Mirza and Osindero, "Conditional Generative Adversarial Nets", 2014). Besides, the tasks' own losses train the
    generator wherever `model.id_dropout` takes an item's id away.
    """

    layers: tuple[PositiveInt, ...] = (64,)
    """Widths of the generator's hidden layers. It adds to what the content alone gives."""
    critic_layers: tuple[PositiveInt, ...] = (64,)
    """Widths of the critic's."""
    noise: int = Field(default=8, ge=0)
    """Random numbers that generator and content share in front of the critic: items of one content differ. An item
    that is served has none of them."""
    samples: int = Field(default=128, gt=0)
    """Items, drawn evenly from those that training knows, that the critic sees at each step."""
    gradient_penalty: float = Field(default=10.0, ge=0)
    """The factor of the squared distance of the critic's slope from 1."""
    weight: float = Field(default=0.1, gt=0)
    """The factor of generator's and critic's loss beside the tasks'."""


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
    warm and cold in their shares. A kind that does not help is left out, and the run says with which metrics; so are
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


ENCODERS = ("mean", "decay", "attention", "cnn", "gru", "lstm", "mingru", "hstu")
"""What `model.history.encoder` may name, alone or summed with `+`."""


class HistoryConfig(Section):
    """How a window of events becomes a vector at every position."""

    encoder: str = "gru+decay"
    """`mean`, `decay` (exponentially decayed means at learned rates), `attention` (causal self-attention; Kang and
    McAuley, 2018), `cnn` (causal dilated convolutions and the maximum over the past; Yuan et al., 2019), `gru`, `lstm`
    (Hidasi et al., 2016), `mingru` (a GRU whose gates read the events alone, so that no loop is needed; Feng et al.,
    2024), `hstu` (pointwise attention with position and time bias; Zhai et al., 2024), or a sum such as
    `gru+decay`."""
    max_events: int = Field(default=100, gt=1)
    """The window's length at most: what ingest split_times, what a request's history is truncated to."""
    min_context: int = Field(default=50, ge=0)
    """When a user's events fill several windows, each later one starts with so many events of context."""
    decays: int = Field(default=4, gt=0)
    """`decay`: sums of the history with learned rates."""
    heads: int = Field(default=2, gt=0)
    """`attention`, `hstu`: heads; a divisor of `model.dimension`."""
    layers: int = Field(default=1, gt=0)
    """`attention`, `hstu`, `gru`, `lstm`, `mingru`: blocks, one on the other."""
    time_bias: bool = False
    """`attention`: a learned bias for the time between two events, in log2 buckets (`hstu` always has one)."""
    kernel_size: int = Field(default=3, gt=1)
    """`cnn`: events in a convolution."""
    dilations: tuple[PositiveInt, ...] = Field(default=(1, 2, 4, 8), min_length=1)
    """`cnn`: one convolution for each, of events so far apart. Together they see
    `1 + (kernel_size - 1) * sum(dilations)` events."""
    target_attention: bool = False
    """In the ranking tasks each candidate weighs the events of the history (DIN; Zhou et al., 2018)."""
    time_gaps: bool = True
    """Embeddings of the time between events and before the request, in log2 buckets."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    item_dropout: float = Field(default=0.1, ge=0, lt=1)
    """The share of history events hidden in training."""
    blank: float = Field(default=0.05, ge=0, lt=1)
    """The share of positions whose whole history is hidden in training. Without it the model learns what to tell a user
    without a history from each user's first events alone."""

    @field_validator("encoder")
    @classmethod
    def _known_encoders(cls, value: str) -> str:
        unknown = sorted(set(value.split("+")) - set(ENCODERS))
        if unknown:
            raise ValueError(
                f"`encoder` should name one of {', '.join(ENCODERS)}, or several joined by '+'. Received: {value!r}"
            )
        return value

    @property
    def encoders(self) -> tuple[str, ...]:
        """The encoders whose outputs are summed."""
        return tuple(self.encoder.split("+"))


class ModelConfig(Section):
    """The towers, and how the tasks share them."""

    dimension: int = Field(default=64, gt=0)
    """Of the query and candidate embeddings."""
    feature_dimension: int = Field(default=16, gt=0)
    """Of each categorical feature's embedding inside the towers."""
    query_layers: tuple[int, ...] = ()
    candidate_layers: tuple[int, ...] = ()
    """Widths of the towers' hidden layers before the last projection."""
    batch_norm: bool = False
    """In the towers' hidden layers, over the global batch of all replicas (Ioffe and Szegedy, "Batch Normalization",
    2015). That of the candidate tower needs the negatives `full`: every step normalises over the whole catalogue."""
    id_dropout: float = Field(default=0.0, ge=0, lt=1)
    """The share of the items whose id is hidden in a step of training, so that the content alone learns to stand for
    an item (DropoutNet; Volkovs et al., 2017). Where it is above 0, items without a training positive are recommended
    by their content, with a popularity predicted from it, and are no negatives. 0: they keep the random vector and the
    low popularity that they start with."""
    generator: GeneratorConfig | None = None
    """Content generation: a network between an item's content and its vector, for items without an id. Off when
    missing."""
    user_id: Literal["none", "ranking", "both"] = "ranking"
    """Where an embedding of the user's id takes part."""
    user_min_count: int = Field(default=1, ge=1)
    sharing: SharingConfig = SharingConfig()
    cross_layers: int = Field(default=0, ge=0)
    """Cross layers over query, candidate and their product before the ranking heads (DCN v2; Wang et al., "DCN V2:
    Improved Deep & Cross Network", 2021)."""
    cross_rank: int | None = Field(default=None, gt=0)
    """The rank of their matrices (3 `dimension` wide), a quarter of which costs little quality; full when missing."""
    history: HistoryConfig = HistoryConfig()
    neighbours: NeighboursConfig | None = NeighboursConfig()
    """Item-to-item neighbourhoods in the retrieval score. `null`: the towers alone."""

    @model_validator(mode="after")
    def _the_tasks_train_the_generator(self) -> "ModelConfig":
        if self.generator is not None and not self.id_dropout:
            raise ValueError("`generator` needs an `id_dropout` above 0, by which the tasks train it. Received: 0")
        return self
