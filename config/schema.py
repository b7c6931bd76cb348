"""The whole file, and the rules that hold between its sections."""

from collections.abc import Iterator

from pydantic import Field, model_validator

from config import feature_names
from config.base import LONGEST_NAME, Section
from config.data import CleaningConfig, DataConfig, SplitConfig
from config.evaluation import EvaluationConfig
from config.features import FeaturesConfig, Trend
from config.model import ModelConfig
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

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=LONGEST_NAME)
    data: DataConfig
    positive: str | None = None
    """An expression over the columns of the interactions: which events are positives, that is history and
    retrieval targets. Others are ranking targets only. Missing: all."""
    cleaning: CleaningConfig = CleaningConfig()
    split: SplitConfig = SplitConfig()
    features: FeaturesConfig = FeaturesConfig()
    tasks: dict[str, AnyTask] = Field(default_factory=_default_tasks, min_length=1)
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    tuner: TunerConfig | None = None
    evaluation: EvaluationConfig = EvaluationConfig()
    serving: ServingConfig = ServingConfig()
    pipeline: PipelineConfig = PipelineConfig()

    @property
    def retrieval(self) -> RetrievalTask | None:
        """The retrieval task, if there is one."""
        return next((t for t in self.tasks.values() if isinstance(t, RetrievalTask)), None)

    @property
    def trend(self) -> Trend | None:
        """What the retrieval score knows of what is popular now; None where it has no trend."""
        is_possible = self.data.interactions.time is not None and self.retrieval is not None
        return self.features.trend if self.features.trend.days and is_possible else None

    @property
    def clock_features(self) -> tuple[str, ...]:
        """The context features, by their names in the examples, that are read from the events' own time."""
        time = self.data.interactions.time
        own = (f for f in self.features.context if f.value_kind == "time" and f.source == time)
        return tuple(feature_names.context_feature(f.name) for f in own)

    @property
    def has_order(self) -> bool:
        """Whether a user's events follow each other: they have times, or their rows stand in an order that counts."""
        return self.data.interactions.time is not None or self.split.ties == "rows"

    @property
    def ranking(self) -> dict[str, LabelledTask]:
        """The ranking tasks, which score items, by name, in the file's order."""
        return {n: t for n, t in self.tasks.items() if isinstance(t, LabelledTask)}

    @property
    def multiclass(self) -> dict[str, MulticlassTask]:
        """The multiclass tasks by name, in the file's order."""
        return {n: t for n, t in self.tasks.items() if isinstance(t, MulticlassTask)}

    @property
    def events(self) -> dict[str, AnyEventTask]:
        """The ranking and the multiclass tasks by name, in the file's order."""
        return {n: t for n, t in self.tasks.items() if isinstance(t, EventTask)}

    @property
    def sessions(self) -> dict[str, str]:
        """The column of the sessions by the name of the listwise task that has one."""
        return {n: t.session for n, t in self.tasks.items() if isinstance(t, ListwiseTask) and t.session is not None}

    @property
    def label_features(self) -> tuple[str, ...]:
        """The examples' float features that tasks are trained with: labels and weights, one value for each event."""
        return tuple(self._label_features())

    def _label_features(self) -> Iterator[str]:
        for name, task in self.events.items():
            if isinstance(task, LabelledTask):
                yield feature_names.label(name)
            yield feature_names.weight(name)

    @property
    def has_approximate_index(self) -> bool:
        """Whether the served search may miss an item that it should find."""
        return self.retrieval is not None and self.serving.index != "exact"

    @property
    def evaluates_cold_items(self) -> bool:
        """Whether targets that training never saw are ranked by themselves too."""
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
