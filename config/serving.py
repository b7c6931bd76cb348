"""The exported model's answers, and where the pipeline writes."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from config.base import LONGEST_NAME, Section
from config.beam import BeamConfig
from config.evaluation import DriftConfig, SkewConfig
from config.metadata import Database
from config.online import RequestLogConfig


class InfraConfig(Section):
    """Infra validation: a server loads the candidate model and answers requests before the model may be pushed."""

    requests: int = Field(default=16, gt=0)
    """The number of examples of the eval split that the candidate must answer."""
    binary: str | None = None
    """TensorFlow Serving's `tensorflow_model_server`, as a path or a name on the PATH of the validating machine. If
    `image` is missing too, this project's embedded server is used."""
    image: str | None = Field(default=None, pattern=r"^[A-Za-z0-9]")
    """A container image with TensorFlow Serving, such as `tensorflow/serving`, which Docker runs."""
    latency_requests: int = Field(default=100, gt=0)
    """The number of sequential requests whose latency is measured after the candidate has answered all others."""
    max_p50_ms: float | None = Field(default=None, gt=0)
    """The maximum median latency of a candidate, in milliseconds."""
    max_p99_ms: float | None = Field(default=None, gt=0)
    """The maximum 99th percentile of a candidate's latency, in milliseconds."""

    @model_validator(mode="after")
    def _one_server(self) -> "InfraConfig":
        if self.binary is not None and self.image is not None:
            raise ValueError(
                "`binary` and `image` should not both be given: one server validates. "
                f"Received: binary={self.binary!r}, image={self.image!r}"
            )
        return self


class DiversityConfig(Section):
    """Diversifies answers: items are selected one by one from a shortlist of the best by utility.

    A request may set `diversity` in [0, 1]: 0 ranks by utility alone, 1 by dissimilarity alone (Carbonell & Goldstein,
    "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing Summaries", 1998). Utility is
    scaled to [0, 1] over the shortlist, and the similarity is the cosine of candidate embeddings.
    """

    shortlist: int = Field(default=100, gt=0)
    """The number of best items that an answer is selected from; at least a request's `k`."""
    weight: float = Field(default=0.0, ge=0, le=1)
    """The diversity of requests that set none."""
    caps: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """Attribute (the name of an item feature) -> the maximum number of items in an answer that share a value of it; 0:
    no maximum. A request's `cap_<attribute>` overrides it. Items without the attribute are not counted. An answer is
    shorter if the shortlist has too few items."""


class ServingConfig(Section):
    """The behaviour of the `recommend` signature, and where versions are pushed."""

    model_name: str = "recommender"
    """The name of the folder of versions, and of the model in clients and URLs: letters, digits, `_`, `-` and `.`,
    starting with a letter, a digit or `_`."""
    folder: str | None = None
    """The folder that versions are pushed to. Defaults to `<pipeline.root>/serving/<model_name>`."""
    candidates: int = Field(default=200, gt=0)
    """The number of items that are retrieved for the ranking tasks."""
    default_k: int = Field(default=10, gt=0)
    """The length of answers to requests without `k`."""
    max_k: int = Field(default=1000, gt=0)
    """The maximum `k` of a request."""
    max_candidates: int = Field(default=10_000, ge=64)
    """The maximum number of candidates of a request of `rank` and `explain`, of items in a call of `embed_candidate`,
    and of values in a request's `allow_item_id` or in one of its filters. Requests above this limit and those below are
    refused (INVALID_ARGUMENT)."""
    max_exclusions: int = Field(default=10_000, ge=64)
    """The maximum number of values of a request's `exclude_item_id`. Of a longer history, the newest events up to this
    number are excluded."""
    max_rows: int = Field(default=1024, ge=64)
    """The maximum number of requests in a call. At least the `max_batch_size` of a server that batches calls."""
    exclude_history: bool = True
    """Whether items of the request's history are excluded from the answer."""
    utility: dict[str, float] = Field(default_factory=dict)
    """Task name -> weight in the score that orders the answer. Defaults to the retrieval task alone, or to the sum of
    the ranking tasks if there is none. Pairwise and listwise scores are unbounded, so weigh them by the meaning of a
    difference of one (`bpr`: e times the odds of being preferred). Multiclass tasks do not score items."""
    allow_list: bool = False
    """Whether requests may set `allow_item_id`: only these items are recommended."""
    filters: tuple[str, ...] = ()
    """Names of item features that requests may filter by, on their raw values: `filter_<name>` matches any of its
    values for `categorical` and `multi_valued` features, `min_<name>` and `max_<name>` are inclusive bounds of
    `numeric` and `time` features. Items without a value do not match. Filtered requests are answered by an exact
    search, whatever `index` is."""
    diversity: DiversityConfig | None = None
    """Defaults to none."""
    snapshot: bool = False
    """Whether the model contains the newest `model.history.max_events` positive events of each user in the data that it
    is fitted to, and the user's features: a request with a user id and no history is answered as if it had sent these.
    They are personal data inside the model. Users below `model.user_min_count` are not included."""
    explained_events: int = Field(default=5, gt=0)
    """The number of events that `explain` returns for an item."""
    index: Literal["exact", "int8", "ivf"] = "exact"
    """How the best candidates are found. `exact`: every item is scored. `int8`: every item is scored in 8 bits, and the
    best again exactly. `ivf` (Jégou et al. 2011, "Product quantization for nearest neighbor search"): only the nearest
    of many small partitions are searched, likewise in 8 bits. The returned scores are always exact. If another index is
    faster at the target recall (below 65,536 items, or for embeddings that do not cluster), it is used instead."""
    recall_target: float = Field(default=0.98, gt=0, le=1)
    """The share of the exact search's best 100 that `int8` and `ivf` should find; `probes` and `shortlist` are chosen
    for it on queries of the eval split. The gate metric `index_recall@100` measures the recall of the served model."""
    partitions: int | None = Field(default=None, gt=0)
    """`ivf`: the number of partitions. Defaults to eight times the square root of the number of items, at most a 64th
    of that number."""
    probes: int | None = Field(default=None, gt=0)
    """`ivf`: the number of partitions of average size that are searched."""
    shortlist: int | None = Field(default=None, gt=0)
    """`int8`, `ivf`: the number of candidates that are scored exactly for the best 100, and in proportion for more."""
    tables: Literal["float32", "int8"] = "float32"
    """How the exported embedding tables of ids and features are stored. `int8`: 8 bits per number and a scale per row,
    a quarter of the bytes (Jacob et al., "Quantization and Training of Neural Networks", 2018). The index has its own
    copy of the candidates, as `index` says."""
    teaches: bool = False
    """Whether the exported model contains what `training.distillation` needs of a teacher: not a signature, but another
    graph."""
    embeddings: bool = False
    """Whether the component EmbeddingExporter writes the candidates' embeddings of a pushed model as a Parquet file and
    its query tower as a SavedModel, for those who search candidates outside the model, by FAISS, ScaNN or Vertex AI
    Vector Search."""
    infra: InfraConfig = InfraConfig()
    """Infra validation."""
    log_requests: RequestLogConfig | None = None
    """A sample of the requests that `tfx_runner.py serve` answers is logged. Defaults to none."""

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
        """Whether a request that sets no diversity is ordered otherwise than by utility."""
        return self.diversity is not None and self.diversity.weight > 0

    @property
    def attributes(self) -> tuple[str, ...]:
        """The item features whose raw values the exported model contains."""
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
    """Where the pipeline writes, and what it checks."""

    root: str = "runs"
    """Artifacts, metadata, logs and pushed models are written to `<root>/<name>/`."""
    metadata: str | None = None
    """The database of ML Metadata, `postgresql://user@host:port/name` or `mysql://...`, for pipelines that several
    machines run; the password is in the environment variable `PGPASSWORD` or `MYSQL_PWD`. Defaults to the SQLite file
    `<root>/<name>/metadata.sqlite`."""
    beam: BeamConfig = BeamConfig()
    """On what Beam runs: a preset's name, a section, or a list of Beam's own options."""
    cache: bool = True
    """Whether components whose inputs, code and configuration are unchanged are not run again."""
    schema_file: str | None = None
    """A curated TFDV schema (pbtxt). Defaults to a schema that is inferred from the data."""
    stop_on_anomalies: bool = True
    """Whether examples that violate the schema stop the run, before Transform. `false`: they are only reported."""
    drift: DriftConfig | None = None
    """Defaults to no comparison."""
    skew: SkewConfig | None = None
    """Defaults to no comparison."""

    @field_validator("metadata")
    @classmethod
    def _is_an_address(cls, address: str | None) -> str | None:
        if address is not None:
            Database.parse(address)
        return address
