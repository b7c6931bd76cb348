"""What the exported model answers."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from config.base import LONGEST_NAME, Section
from config.evaluation import DriftConfig, SkewConfig


class InfraConfig(Section):
    """Infra validation: a server loads the candidate model and answers before the model may be pushed."""

    requests: int = Field(default=16, gt=0)
    """Examples of the eval split that the candidate must answer."""
    binary: str | None = None
    """TensorFlow Serving's `tensorflow_model_server`, a path or a name on the PATH of the machine that validates.
    Missing, as `image` too: this project's embedded server."""
    image: str | None = Field(default=None, pattern=r"^[A-Za-z0-9]")
    """A container image with TensorFlow Serving, such as `tensorflow/serving`; Docker runs it."""
    latency_requests: int = Field(default=100, gt=0)
    """Requests whose latency is measured, one after the other, after the candidate has answered all others."""
    max_p50_ms: float | None = Field(default=None, gt=0)
    """A candidate whose median latency is longer is not blessed."""
    max_p99_ms: float | None = Field(default=None, gt=0)
    """A candidate whose latency's 99th percentile is longer is not blessed."""

    @model_validator(mode="after")
    def _one_server(self) -> "InfraConfig":
        if self.binary is not None and self.image is not None:
            raise ValueError(
                "`binary` and `image` should not both be given: one server validates. "
                f"Received: binary={self.binary!r}, image={self.image!r}"
            )
        return self


class DiversityConfig(Section):
    """Answers of unlike items: of the best by utility some are chosen, one after the other.

    A request may bring `diversity` in [0, 1]: 0 orders by utility alone, 1 by unlikeness alone (Carbonell & Goldstein,
    "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing Summaries", 1998), with the
    utility scaled to [0, 1] over the shortlist and the cosine of candidate embeddings as similarity.
    """

    shortlist: int = Field(default=100, gt=0)
    """The best items, out of which an answer is chosen; a request's `k` where that is more."""
    weight: float = Field(default=0.0, ge=0, le=1)
    """The diversity of requests that do not say."""
    caps: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """Attribute (the name of an item feature) -> the number of items of an answer that may share a value of it; 0: any
    number. A request's `cap_<attribute>` takes its place. An item without the attribute is not counted. Where the
    shortlist holds too few that may be chosen, the answer is shorter."""


class ServingConfig(Section):
    """The `recommend` signature's behaviour, and where pushed versions go."""

    model_name: str = "recommender"
    """Of the folder of versions, and what clients and URLs name: letters, digits, `_`, `-` and `.`, none of them first
    but a letter, a digit or `_`."""
    folder: str | None = None
    """Where versions are pushed; `<pipeline.root>/serving/<model_name>` when missing."""
    candidates: int = Field(default=200, gt=0)
    """Items that retrieval hands to the ranking tasks."""
    default_k: int = Field(default=10, gt=0)
    max_k: int = Field(default=1000, gt=0)
    max_candidates: int = Field(default=10_000, ge=64)
    """Candidates of one request of `rank` and `explain`, items of one call of `embed_candidate`, and values of a
    request's `allow_item_id` or of one of its filters. More are refused (INVALID_ARGUMENT); so below."""
    max_exclusions: int = Field(default=10_000, ge=64)
    """Values of a request's `exclude_item_id`. Of a longer history the newest so many events are excluded."""
    max_rows: int = Field(default=1024, ge=64)
    """Requests of one call. A server that joins calls needs no fewer than its `max_batch_size`."""
    exclude_history: bool = True
    """Never recommend what the request's history holds."""
    utility: dict[str, float] = Field(default_factory=dict)
    """Task name -> weight in the score that orders the answer. Missing: the retrieval task alone, or the sum
    of the ranking tasks where there is none. Pairwise and listwise scores have no bounds: weigh them by what a
    difference of one means (`bpr`: e times the odds of being preferred). Multiclass tasks score no items."""
    allow_list: bool = False
    """Requests may bring `allow_item_id`: only these items are recommended."""
    filters: tuple[str, ...] = ()
    """Names of item features whose raw values requests may ask for: of `categorical` and `multi_valued` ones any of the
    values in `filter_<name>`, of `numeric` and `time` ones those from `min_<name>` to `max_<name>`, both included. An
    item without a value does not fit. Filtered requests are answered by an exact search, whatever `index` is."""
    diversity: DiversityConfig | None = None
    """Off when missing."""
    snapshot: bool = False
    """The model holds the newest `model.history.max_events` positive events of each user in the data that it is fitted
    to, and the user's features: a request that brings a user id and no history is answered as if it had brought these.
    They are personal data inside the model. Users below `model.user_min_count` are not held."""
    explained_events: int = Field(default=5, gt=0)
    """Events that `explain` names for an item."""
    index: Literal["exact", "int8", "ivf"] = "exact"
    """How the best candidates are found. `exact`: every item is scored. `int8`: every item is scored in 8 bits, the
    best again exactly. `ivf` (Jégou et al. 2011, "Product quantization for nearest neighbor search"): of many small
    partitions only the nearest are searched so. Scores are exact in all. Where another is faster at the recall that is
    wanted (fewer than 65,536 items, embeddings that cannot be partitioned), that takes its place."""
    recall_target: float = Field(default=0.98, gt=0, le=1)
    """The share of the exact search's best 100 that `int8` and `ivf` are to find; `probes` and `shortlist` are chosen
    for it on queries of the eval split. The gate metric `index_recall@100` says what they find of the served model."""
    partitions: int | None = Field(default=None, gt=0)
    """Of `ivf`. Missing: eight times the square root of the number of items, at most a 64th of that number."""
    probes: int | None = Field(default=None, gt=0)
    """Partitions of average size that `ivf` searches."""
    shortlist: int | None = Field(default=None, gt=0)
    """Candidates that `int8` and `ivf` score exactly for the best 100, and in proportion for more."""
    tables: Literal["float32", "int8"] = "float32"
    """How the exported tables of ids' and features' vectors are stored: `int8`, 8 bits a number and a scale for each
    row, a quarter of the bytes (Jacob et al., "Quantization and Training of Neural Networks", 2018). The index keeps
    its own copy of the candidates, as `index` says."""
    teaches: bool = False
    """The exported model holds what `training.distillation` asks of a teacher; no signature, and larger by a graph."""
    infra: InfraConfig = InfraConfig()

    @field_validator("model_name")
    @classmethod
    def _names_one_folder(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name) or len(name) > LONGEST_NAME:
            raise ValueError(
                "should be letters, digits, `_`, `-` and `.`, beginning with a letter, a digit or `_`, at most "
                f"{LONGEST_NAME} of them: it is the name of a folder. Received: {name!r}"
            )
        return name

    @property
    def caps(self) -> dict[str, int]:
        """The capped attributes."""
        return self.diversity.caps if self.diversity else {}

    @property
    def is_diverse(self) -> bool:
        """Whether a request that does not say is answered in another order than that of utility."""
        return self.diversity is not None and self.diversity.weight > 0

    @property
    def attributes(self) -> tuple[str, ...]:
        """The item features whose raw values the exported model holds."""
        return tuple(dict.fromkeys([*self.filters, *self.caps]))

    @model_validator(mode="after")
    def _index_has_its_parameters(self) -> "ServingConfig":
        for name, kinds in {"shortlist": ("int8", "ivf"), "partitions": ("ivf",), "probes": ("ivf",)}.items():
            if getattr(self, name) is not None and self.index not in kinds:
                raise ValueError(f"`{name}` needs `index` to be {' or '.join(kinds)}. Received: index={self.index}")
        if self.probes is not None and self.partitions is not None and self.probes > self.partitions:
            raise ValueError(f"`probes` should be at most `partitions`. Received: {self.probes} > {self.partitions}")
        return self


class PipelineConfig(Section):
    """Where the pipeline keeps its things."""

    root: str = "runs"
    """Artifacts, metadata, logs and pushed models go to `<root>/<name>/`."""
    beam: tuple[str, ...] = (
        "--runner=DirectRunner",
        "--direct_running_mode=in_memory",
        "--direct_num_workers=1",
        "--sdk_container_image=none",
    )
    """Beam pipeline options. Where no image is named, TFX packs itself into an archive for every component that uses
    Beam, which takes seconds each time; workers in this process need neither."""
    cache: bool = True
    schema_file: str | None = None
    """A curated TFDV schema (pbtxt); inferred from the data when missing."""
    stop_on_anomalies: bool = True
    """Whether examples that do not fit the schema stop the run, before Transform. `false`: they are reported only."""
    drift: DriftConfig | None = None
    """Off when missing."""
    skew: SkewConfig | None = None
    """Off when missing."""
