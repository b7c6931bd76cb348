"""The whole file, and the rules that hold between its sections."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from config import feature_names
from config.base import LONGEST_NAME, Section
from config.data import CleaningConfig, DataConfig, SplitConfig
from config.deploy import DeployConfig
from config.evaluation import EvaluationConfig
from config.features import FeaturesConfig, Trend
from config.kubernetes import KubernetesConfig
from config.model import ModelConfig
from config.online import OnlineConfig
from config.serving import PipelineConfig, ServingConfig
from config.tasks import (
    AnyEventTask,
    AnyTask,
    EventTask,
    LabelledTask,
    ListwiseTask,
    MulticlassTask,
    RetrievalTask,
)
from config.training import TrainingConfig
from config.tuner import TunerConfig


def _default_tasks() -> dict[str, AnyTask]:
    return {"retrieval": RetrievalTask(kind="retrieval")}


class Config(Section):
    """A recommender: its data, features, tasks, model, training, gates and serving."""

    version: Literal[1] = 1
    """The version of the form of this file. A file without one may have keys of the form before it, which are renamed
    with a notice."""
    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=LONGEST_NAME)
    """The name of the pipeline, and of its folder in `pipeline.root`."""
    data: DataConfig
    """The location of the tables."""
    positive: str | None = None
    """An expression over the columns of the interactions that is true for positives: the events of histories and the
    targets of retrieval. Other events are targets of ranking tasks only. Defaults to all events."""
    cleaning: CleaningConfig = CleaningConfig()
    """Bad rows, outliers and duplicates."""
    split: SplitConfig = SplitConfig()
    """The train, eval and test splits."""
    features: FeaturesConfig = FeaturesConfig()
    """The columns that the model reads."""
    tasks: dict[str, AnyTask] = Field(default_factory=_default_tasks, min_length=1)
    """The tasks by name. Defaults to one retrieval task."""
    model: ModelConfig = ModelConfig()
    """The architecture."""
    training: TrainingConfig = TrainingConfig()
    """The training."""
    tuner: TunerConfig | None = None
    """The search for hyperparameters. Defaults to none."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """The metrics and gates."""
    serving: ServingConfig = ServingConfig()
    """The answers of the exported model."""
    online: OnlineConfig = OnlineConfig()
    """The evaluation of the served model on the requests that it answered."""
    pipeline: PipelineConfig = PipelineConfig()
    """The pipeline's folders and checks."""
    deploy: DeployConfig = DeployConfig()
    """What `tfx_runner.py deploy` renders."""
    kubernetes: KubernetesConfig = KubernetesConfig()
    """The pods of a compiled pipeline; a local run ignores it."""

    @property
    def retrieval(self) -> RetrievalTask | None:
        """The retrieval task, if there is one."""
        return next((t for t in self.tasks.values() if isinstance(t, RetrievalTask)), None)

    @property
    def trend(self) -> Trend | None:
        """The recent popularity in the retrieval score; None if it is off, or if there are no times or no retrieval
        task."""
        is_possible = self.data.interactions.time is not None and self.retrieval is not None
        return self.features.trend if self.features.trend.days and is_possible else None

    @property
    def clock_features(self) -> tuple[str, ...]:
        """The context features that are derived from the events' own time, by their names in the examples."""
        time = self.data.interactions.time
        own = (f for f in self.features.context if f.value_kind == "time" and f.source == time)
        return tuple(feature_names.context_feature(f.name) for f in own)

    @property
    def has_order(self) -> bool:
        """Whether a user's events are ordered, by their times or by their rows."""
        return self.data.interactions.time is not None or self.split.ties == "rows"

    @property
    def ranking(self) -> dict[str, LabelledTask]:
        """The ranking tasks, which score items, by name, in the order of the file."""
        return {n: t for n, t in self.tasks.items() if isinstance(t, LabelledTask)}

    @property
    def multiclass(self) -> dict[str, MulticlassTask]:
        """The multiclass tasks by name, in the order of the file."""
        return {n: t for n, t in self.tasks.items() if isinstance(t, MulticlassTask)}

    @property
    def events(self) -> dict[str, AnyEventTask]:
        """The ranking and the multiclass tasks by name, in the order of the file."""
        return {n: t for n, t in self.tasks.items() if isinstance(t, EventTask)}

    @property
    def sessions(self) -> dict[str, str]:
        """The session columns by the name of the listwise task that has one."""
        return {n: t.session for n, t in self.tasks.items() if isinstance(t, ListwiseTask) and t.session is not None}

    @property
    def label_features(self) -> tuple[str, ...]:
        """The names of labels and weights in the examples, floats with one value for each event."""
        return tuple(self._label_features())

    def _label_features(self) -> Iterator[str]:
        for name, task in self.events.items():
            if isinstance(task, LabelledTask):
                yield feature_names.label(name)
            yield feature_names.weight(name)

    @property
    def embeds_users(self) -> bool:
        """Whether the model has an embedding of users' ids."""
        return self.model.user_id == "both" or (self.model.user_id == "ranking" and bool(self.events))

    @property
    def has_approximate_index(self) -> bool:
        """Whether the served search is approximate."""
        return self.retrieval is not None and self.serving.index != "exact"

    @property
    def evaluates_cold_items(self) -> bool:
        """Whether targets without train events are also ranked among each other."""
        is_asked = self.evaluation.cold_items or self.split.cold_items is not None
        return is_asked and self.retrieval is not None

    @model_validator(mode="after")
    def _one_retrieval_task(self) -> "Config":
        names = [n for n, t in self.tasks.items() if isinstance(t, RetrievalTask)]
        if len(names) > 1:
            raise ValueError(f"`tasks` should hold at most one retrieval task. Received: {names}")
        return self

    @model_validator(mode="after")
    def _no_task_is_named_as_what_all_share(self) -> "Config":
        if self.model.sharing.method == "ple" and "shared" in self.tasks:
            raise ValueError("`tasks` should not name one `shared`: so `ple` calls its common experts")
        return self

    @model_validator(mode="after")
    def _something_scores_items(self) -> "Config":
        if self.retrieval is None and not self.ranking:
            raise ValueError(
                "`tasks` should hold one that scores items: a task of any kind but `multiclass`. "
                f"Received: {', '.join(self.tasks)}"
            )
        return self

    @model_validator(mode="after")
    def _utility_names_tasks(self) -> "Config":
        allowed = [name for name in self.tasks if name not in self.multiclass]
        unknown = sorted(set(self.serving.utility) - set(allowed))
        if unknown:
            raise ValueError(
                f"`serving.utility` should name tasks that score items ({', '.join(allowed)}). "
                f"Received: {', '.join(unknown)}"
            )
        return self
