"""How the model is trained."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline.config.balancing import BalancingConfig
from pipeline.config.base import Section
from pipeline.config.compression import DistillationConfig, PruningConfig
from pipeline.config.hiding import HidingConfig
from pipeline.config.optimizer import OptimizerConfig

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


class EarlyStopping(Section):
    """Stops when the metric on the eval split has not improved for `patience` epochs; the best weights are kept, of
    epochs that differ by no more than noise (a quarter of the standard error) the last."""

    metric: str | None = None
    """Missing: `ndcg@K` of the greatest K of `evaluation.ks` where a task retrieves, since its loss turns worse long
    before its order does; else `loss`. Averages are over a random sample of the eval users, warm and cold in their
    shares. Of what is printed: `loss`, `<task>_loss`, `ndcg@10`,
    `recall@10`, `hr@10`, `<task>/rmse`, `<task>/auc`, `<task>/accuracy`, `<task>/pairwise_accuracy`. `loss` sums the
    losses by the tasks' configured weights, whatever the balancing."""
    patience: int | None = Field(default=None, ge=1)
    """Missing: half of the training's epochs, 5 at least. While the learning rate is high a training may be worse for
    some epochs than it was before, and better again once the rate falls."""

    task_patience: int | None = Field(default=3, ge=1)
    """Beside retrieval a task is often learned by heart while the rest still learns. When its own eval loss has not
    improved for so many epochs its gradient ends at its head, which goes on following the towers that the other tasks
    train. `null`: all tasks train what they share to the end."""

    def patience_in(self, epochs: int) -> int:
        """The epochs without an improvement after which a training of so many epochs stops."""
        return self.patience or max(epochs // 2, 5)


class AveragingConfig(Section):
    """An exponential moving average of the weights is what is evaluated and exported (Polyak and Juditsky,
    "Acceleration of Stochastic Approximation by Averaging", 1992)."""

    decay: float = Field(default=0.999, gt=0, lt=1)
    """The share of the average that each step keeps; less in the first steps, (1 + t) / (10 + t) after step t."""


class TrainingConfig(Section):
    """The length of training, its batches and where it runs."""

    epochs: int | None = Field(default=None, gt=0)
    """Missing: 16, or as many as take 10,000 steps where these are fewer, but 5 at least: a large log has learned what
    there is to learn long before its sixteenth pass."""
    max_steps: int | None = Field(default=None, gt=0)
    """Ends training sooner."""
    batch_size: int | None = Field(default=None, gt=0)
    """Windows in the global batch, whatever the number of replicas. Missing: windows of like length stand together, as
    many as hold about 800 targets, but at most 1,024, at least 16, and at least 100 batches in an epoch."""
    optimizer: OptimizerConfig = OptimizerConfig()
    balancing: BalancingConfig = BalancingConfig()
    averaging: AveragingConfig | None = None
    hide: HidingConfig | None = HidingConfig()
    """What is hidden at random, so that requests may leave it out. `null`: nothing is."""
    early_stopping: EarlyStopping | None = EarlyStopping()
    """`null`: every epoch is trained and the last weights are kept. So they are without an eval split to look at, where
    `fit_on` holds it, and with `pruning`, which reaches its share late."""
    pruning: PruningConfig | None = None
    """Sets the smallest weights of the dense layers to zero. Off when missing."""
    distillation: DistillationConfig | None = None
    """Learns from another model's answers too. Off when missing."""
    precision: Precision = "float32"
    """`mixed_bfloat16` (CPUs with AVX512-BF16 or AMX), `mixed_float16` (GPUs of compute capability 7.0, with loss
    scaling): matrix products of training in 16 bits, weights in 32 (Micikevicius et al., "Mixed Precision Training",
    2018). Where no device computes in it, training says so and goes on in float32. What is exported is float32."""
    strategy: Literal["one_device", "mirrored", "multi_worker"] = "one_device"
    """`mirrored`: all GPUs of a machine, or `replicas` logical CPUs. `multi_worker`: the machines that the environment
    variable `TF_CONFIG` names, with their GPUs, or their CPUs as one device each: the chief runs the pipeline, the
    others `tfx_runner.py worker`. The same global batches give the same losses and weights with each."""
    replicas: int | None = Field(default=None, gt=1)
    """`mirrored` without a GPU: so many logical CPU devices. All GPUs when missing."""
    fit_on: tuple[Literal["train", "eval"], ...] = ("train",)
    """`[train, eval]` refits the final model on everything but test."""
    seed: int = 42
    checkpoint_every_epochs: int = Field(default=1, gt=0)

    @model_validator(mode="after")
    def _scales_what_gradnorm_does_not_compare(self) -> "TrainingConfig":
        if self.precision == "mixed_float16" and self.balancing.method == "gradnorm":
            raise ValueError("`precision` should not be `mixed_float16` with `gradnorm`, which compares losses")
        return self

    @model_validator(mode="after")
    def _prunes_to_the_end(self) -> "TrainingConfig":
        is_asked = self.early_stopping is not None and "early_stopping" in self.model_fields_set
        if self.pruning is not None and is_asked:
            raise ValueError("`early_stopping` should be left out with `pruning`: the best epoch may not be sparse yet")
        return self

    @model_validator(mode="after")
    def _stops_on_data_that_it_does_not_fit(self) -> "TrainingConfig":
        if "eval" not in self.fit_on:
            return self
        if self.early_stopping is not None and "early_stopping" in self.model_fields_set:
            raise ValueError("`early_stopping` should be left out where `fit_on` holds `eval`: choose `epochs` instead")
        if self.optimizer.schedule == "plateau":
            raise ValueError("`optimizer.schedule` should not be `plateau` where `fit_on` holds `eval`")
        return self

    @property
    def stopping(self) -> EarlyStopping | None:
        """`early_stopping` where the eval split is not trained on and nothing is pruned."""
        return None if "eval" in self.fit_on or self.pruning is not None else self.early_stopping
