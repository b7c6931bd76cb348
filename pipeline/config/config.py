"""The whole file, and the rules that hold between its sections."""

from pydantic import Field, model_validator

from pipeline.config.base import Section
from pipeline.config.data import CleaningConfig, DataConfig, SplitConfig
from pipeline.config.evaluation import EvaluationConfig
from pipeline.config.features import FeaturesConfig
from pipeline.config.model import ModelConfig
from pipeline.config.serving import PipelineConfig, ServingConfig
from pipeline.config.tasks import AnyTask, LabelledTask, RetrievalTask
from pipeline.config.training import TrainingConfig


def _default_tasks() -> dict[str, AnyTask]:
    return {"retrieval": RetrievalTask(kind="retrieval")}


class Config(Section):
    """A recommender: its data, features, tasks, model, training, gates and serving."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
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
    evaluation: EvaluationConfig = EvaluationConfig()
    serving: ServingConfig = ServingConfig()
    pipeline: PipelineConfig = PipelineConfig()

    @property
    def retrieval(self) -> RetrievalTask | None:
        """The retrieval task, if there is one."""
        return next((t for t in self.tasks.values() if isinstance(t, RetrievalTask)), None)

    @property
    def ranking(self) -> dict[str, LabelledTask]:
        """The ranking tasks by name, in the file's order."""
        return {n: t for n, t in self.tasks.items() if isinstance(t, LabelledTask)}

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
    def _utility_names_tasks(self) -> "Config":
        unknown = sorted(set(self.serving.utility) - set(self.tasks))
        if unknown:
            raise ValueError(
                f"`serving.utility` should name tasks ({', '.join(self.tasks)}). Received: {', '.join(unknown)}"
            )
        return self
