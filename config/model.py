"""The model's architecture."""

from typing import Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from config.base import Method, Section
from config.embedding_tables import DEFAULT, TableConfig, UnifiedConfig


class SharingConfig(Method):
    """How the tasks, including retrieval, share the query's state. The section may be written as the method's name
    alone."""

    method: Literal["hard", "cross_stitch", "mmoe", "ple"] = "hard"
    """`hard`: one state for all tasks (Caruana, 1997). `cross_stitch`: layers of each task whose activations are mixed
    (Misra et al., 2016). `mmoe`: common experts with a gate for each task (Ma et al., 2018). `ple`: common and
    task-specific experts, gated level by level (Tang et al., 2020)."""
    experts: int = Field(default=4, gt=0)
    """`mmoe`: the number of experts. `ple`: the number of common experts in each level."""
    task_experts: int = Field(default=2, gt=0)
    """`ple`: the number of experts of each task in each level."""
    levels: int = Field(default=2, gt=0)
    """`cross_stitch`: the number of layers of each task's tower. `ple`: the number of levels."""
    expert_width: int | None = Field(default=None, gt=0)
    """The width of each expert or tower layer, and of the tasks' states. Defaults to `dimension`."""
    residual: bool = True
    """Whether experts and towers are added to the shared state (He et al., "Deep Residual Learning for Image
    Recognition", 2016). False: they replace it, as in the papers above."""

    @model_validator(mode="after")
    def _adds_what_is_as_wide(self) -> "SharingConfig":
        if self.expert_width is not None and self.residual:
            raise ValueError(
                "`expert_width` should be left out, or `residual` false: what is added is `dimension` wide"
            )
        return self


class GeneratorConfig(Section):
    """A network that generates an item's vector from its content, trained against a critic.

    The critic distinguishes generated vectors from learned ones of items with the same content: a Wasserstein distance
    with gradient penalty (Gulrajani et al., "Improved Training of Wasserstein GANs", 2017), conditioned on the content
    (Mirza and Osindero, "Conditional Generative Adversarial Nets", 2014). The tasks' own losses train the generator
    too, wherever `model.id_dropout` hides an item's id.
    """

    layers: tuple[PositiveInt, ...] = (64,)
    """The widths of the generator's hidden layers. Its output is added to the content tower's."""
    critic_layers: tuple[PositiveInt, ...] = (64,)
    """The widths of the critic's hidden layers."""
    noise: int = Field(default=8, ge=0)
    """The number of random inputs of the generator in adversarial training, so that items with the same content differ.
    They are zero in serving."""
    samples: int = Field(default=128, gt=0)
    """The number of items, drawn uniformly from those with train events, that the critic is trained on at each step."""
    gradient_penalty: float = Field(default=10.0, ge=0)
    """The factor of the squared distance of the critic's gradient norm from 1."""
    weight: float = Field(default=0.1, gt=0)
    """The factor of the generator's and the critic's loss beside the tasks' losses."""


NeighbourKind = Literal["cosine", "regression", "transitions"]


class NeighboursConfig(Section):
    """Item-to-item scores from the train log, added to the retrieval score: the towers generalise, neighbourhoods
    memorise (Cheng et al., "Wide & Deep Learning for Recommender Systems", 2016). They help most with many items and
    few events, where towers are weak."""

    cosine: int = Field(default=20, ge=0)
    """The number of neighbours of an item, by the cosine of their users; an item scores by the sum over the whole
    history (Deshpande and Karypis, "Item-based top-N recommendation algorithms", 2004). 0: none."""
    regression: int = Field(default=50, ge=0)
    """The number of coefficients of an item, the greatest of its regression on all other items of a user, in which an
    item that only accompanies another has no weight beside it (Steck, "Embarrassingly Shallow Autoencoders for Sparse
    Data", 2019). 0: none."""
    regression_items: int = Field(default=8192, gt=0)
    """The maximum number of items in the regression, the most frequent ones: time grows with its cube, memory with its
    square."""
    l2: float = Field(default=300, gt=0)
    """The regression's ridge penalty."""
    transitions: int = Field(default=50, ge=0)
    """The number of items that are kept for each item, those that followed it most often within `window` events; an
    event at distance n counts `decay` ** (n - 1), and an event of the history with n newer ones counts `decay` ** n.
    Only if a user's events have an order: times, or `split.ties: rows`. 0: none."""
    window: int = Field(default=10, gt=0)
    """The maximum distance of a transition, in events."""
    decay: float = Field(default=0.8, gt=0, le=1)
    """The decay of transitions by distance, and of the history by age."""
    damping: float = Field(default=0.3, ge=0, le=1)
    """The exponent of an item's frequency, by which the counts of transitions to it are divided."""
    weights: dict[NeighbourKind, float] | None = None
    """The weights by kind. Defaults to those with the best NDCG@100 of a random sample of the eval users, warm and cold
    in proportion, chosen after training. A kind that does not help is left out, and the run reports with which metrics;
    all kinds are left out if there is no eval split or if it is trained on."""

    def looks_for(self, kind: NeighbourKind) -> bool:
        """Returns whether a kind is computed: it is not 0, and configured weights give it a weight."""
        return getattr(self, kind) > 0 and bool(self.weights is None or self.weights.get(kind))

    @model_validator(mode="after")
    def _weights_are_of_what_is_there(self) -> "NeighboursConfig":
        absent = sorted(name for name in self.weights or {} if not getattr(self, name))
        if absent:
            raise ValueError(f"`weights` should name kinds that are not 0. Received: {', '.join(absent)}")
        return self


ENCODERS = ("mean", "decay", "attention", "cnn", "gru", "lstm", "mingru", "hstu")
"""The names that `model.history.encoder` may be, alone or summed with `+`."""


class HistoryConfig(Section):
    """How a window of events is encoded as a vector at every position."""

    encoder: str = "gru+decay"
    """`mean`, `decay` (exponentially decayed means with learned rates), `attention` (causal self-attention; Kang and
    McAuley, 2018), `cnn` (causal dilated convolutions and the maximum over the past; Yuan et al., 2019), `gru`, `lstm`
    (Hidasi et al., 2016), `mingru` (a GRU whose gates depend on the events alone, so that it is parallel; Feng et al.,
    2024), `hstu` (pointwise attention with position and time bias; Zhai et al., 2024), or a sum such as `gru+decay`."""
    max_events: int = Field(default=100, gt=1)
    """The maximum length of a window; longer histories of requests are truncated."""
    min_context: int = Field(default=50, ge=0)
    """The number of context events at the start of each later window of a user whose events fill several."""
    decays: int = Field(default=4, gt=0)
    """`decay`: the number of learned rates."""
    heads: int = Field(default=2, gt=0)
    """`attention`, `hstu`: the number of heads, a divisor of `model.dimension`."""
    layers: int = Field(default=1, gt=0)
    """`attention`, `hstu`, `gru`, `lstm`, `mingru`: the number of stacked blocks."""
    time_bias: bool = False
    """`attention`: a learned bias for the time between two events, in log2 buckets (`hstu` always has one)."""
    kernel_size: int = Field(default=3, gt=1)
    """`cnn`: the number of events in a convolution."""
    dilations: tuple[PositiveInt, ...] = Field(default=(1, 2, 4, 8), min_length=1)
    """`cnn`: the dilation of each convolution. Their receptive field is `1 + (kernel_size - 1) * sum(dilations)`
    events."""
    target_attention: bool = False
    """Whether each candidate attends to the events of the history in the ranking tasks (DIN; Zhou et al., 2018)."""
    time_gaps: bool = True
    """Whether the times between events and before the request are embedded, in log2 buckets."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """The dropout rate of the encoders."""
    item_dropout: float = Field(default=0.1, ge=0, lt=1)
    """The share of history events that are hidden in training."""
    blank: float = Field(default=0.05, ge=0, lt=1)
    """The share of positions whose whole history is hidden in training. Without it, the model learns about users
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
    """The dimension of the query and candidate embeddings."""
    feature_dimension: int = Field(default=16, gt=0)
    """The dimension of each categorical feature's embedding inside the towers."""
    query_layers: tuple[int, ...] = ()
    """The widths of the query tower's hidden layers before the last projection."""
    candidate_layers: tuple[int, ...] = ()
    """The widths of the candidate tower's hidden layers before the last projection."""
    batch_norm: bool = False
    """Whether the towers' hidden layers are batch-normalised, over the global batch of all replicas (Ioffe and Szegedy,
    "Batch Normalization", 2015). In the candidate tower it needs `negatives: full`: every step normalises over the
    whole catalogue."""
    id_dropout: float = Field(default=0.0, ge=0, lt=1)
    """The share of items whose id is hidden in a step of training, so that the content alone learns to represent an
    item (DropoutNet; Volkovs et al., 2017). If it is above 0, items without a training positive are recommended by
    their content, with a popularity predicted from it, and are not used as negatives. 0: they keep their random initial
    vector and a low popularity."""
    generator: GeneratorConfig | None = None
    """A network that generates the vectors of items without an id from their content. Defaults to none."""
    user_id: Literal["none", "ranking", "both"] = "ranking"
    """Whether an embedding of the user's id is used: not at all, by the ranking tasks, or by retrieval too."""
    user_min_count: int = Field(default=1, ge=1)
    """Users with fewer train events are out of vocabulary."""
    tables: dict[str, TableConfig] = Field(default_factory=dict)
    """Table -> its form: `item_id`, `user_id`, a feature by its name in the examples such as `item_genres`, or
    `default` for all others. Tables that neither names are `full`."""
    unified: UnifiedConfig | None = None
    """The tables that embeddings of the form `unified` share. Defaults to none."""
    sharing: SharingConfig = SharingConfig()
    """How the tasks share the query's state."""
    cross_layers: int = Field(default=0, ge=0)
    """The number of cross layers over query, candidate and their product before the ranking heads (DCN v2; Wang et al.,
    "DCN V2: Improved Deep & Cross Network", 2021)."""
    cross_rank: int | None = Field(default=None, gt=0)
    """The rank of the cross layers' matrices, which are 3 `dimension` wide; a quarter of that costs little quality.
    Defaults to full rank."""
    history: HistoryConfig = HistoryConfig()
    """The encoders of the history."""
    neighbours: NeighboursConfig | None = NeighboursConfig()
    """Item-to-item neighbourhoods in the retrieval score. `null`: the towers alone."""

    def table(self, name: str) -> TableConfig:
        """Returns the form of a table: `item_id`, `user_id`, or a feature by its name in the examples."""
        return self.tables.get(name, self.tables.get(DEFAULT, TableConfig()))

    @model_validator(mode="after")
    def _the_tasks_train_the_generator(self) -> "ModelConfig":
        if self.generator is not None and not self.id_dropout:
            raise ValueError("`generator` needs an `id_dropout` above 0, by which the tasks train it. Received: 0")
        return self
