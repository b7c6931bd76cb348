"""The model's shape."""

from typing import Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from pipeline.config.base import Section
from pipeline.config.generator import GeneratorConfig
from pipeline.config.neighbours import NeighboursConfig
from pipeline.config.sharing import SharingConfig

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
    """The window's length at most: what ingest cuts, what a request's history is truncated to."""
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
