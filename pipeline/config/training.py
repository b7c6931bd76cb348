"""How the model is trained."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline.config.balancing import BalancingConfig
from pipeline.config.base import Section


class OptimizerConfig(Section):
    """The optimizer and its learning rate's schedule."""

    name: Literal["adamw", "adam", "adagrad", "sgd"] = "adamw"
    learning_rate: float = Field(default=4e-3, gt=0)
    warmup_steps: int = Field(default=50, ge=0)
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    """After the warm-up: constant, or down to zero at the last step."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Of embeddings; adamw only."""
    clip_norm: float = Field(default=5.0, gt=0)


class EarlyStopping(Section):
    """Stops when the metric on the eval split has not improved for `patience` epochs; the best weights are kept."""

    metric: str = "loss"
    """`loss`, `<task>_loss`, `ndcg@10`, `recall@10`, `hr@10`, `<task>/rmse`, `<task>/auc`, `<task>/accuracy`,
    `<task>/pairwise_accuracy`: as printed. `loss` sums the losses by the tasks' configured weights, whatever the
    balancing."""
    patience: int = Field(default=3, ge=1)


class TrainingConfig(Section):
    """The length of training, its batches and where it runs."""

    epochs: int = Field(default=16, gt=0)
    max_steps: int | None = Field(default=None, gt=0)
    """Ends training sooner."""
    batch_size: int = Field(default=16, gt=0)
    """Windows in the global batch, whatever the number of replicas."""
    optimizer: OptimizerConfig = OptimizerConfig()
    balancing: BalancingConfig = BalancingConfig()
    early_stopping: EarlyStopping | None = None
    strategy: Literal["one_device", "mirrored"] = "one_device"
    replicas: int | None = Field(default=None, gt=1)
    """`mirrored` without a GPU: so many logical CPU devices. All GPUs when missing."""
    fit_on: tuple[Literal["train", "eval"], ...] = ("train",)
    """`[train, eval]` refits the final model on everything but test."""
    seed: int = 42
    checkpoint_every_epochs: int = Field(default=1, gt=0)

    @model_validator(mode="after")
    def _stops_on_data_that_it_does_not_fit(self) -> "TrainingConfig":
        if self.early_stopping is not None and "eval" in self.fit_on:
            raise ValueError("`early_stopping` should be left out where `fit_on` holds `eval`: choose `epochs` instead")
        return self
