"""How the model is trained."""

from typing import Literal, Self

from pydantic import Field, model_validator

from config.base import Method, Section


class UpdateRule(Section):
    """An optimizer's rule and its peak rate."""

    name: Literal["adamw", "adam", "adagrad", "sgd"] = "adamw"
    """AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019), Adam (Kingma and Ba, 2015),
    Adagrad (Duchi, Hazan and Singer, 2011) or stochastic gradient descent."""
    learning_rate: float = Field(default=4e-3, gt=0)
    """The peak, after the warm-up."""
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Of `sgd` only: the share of the step before that each step keeps."""
    nesterov: bool = False
    """`sgd` with momentum: the gradient is taken to be one step ahead (Sutskever et al., "On the importance of
    initialization and momentum in deep learning", 2013)."""

    @model_validator(mode="after")
    def _momentum_is_of_sgd(self) -> Self:
        if self.momentum and self.name != "sgd":
            raise ValueError(f"`momentum` should be left out with `{self.name}`: only `sgd` has it")
        if self.nesterov and not self.momentum:
            raise ValueError("`nesterov` needs a `momentum` above 0")
        return self


class PlateauConfig(Section):
    """When the rate of the schedule `plateau` falls."""

    metric: str = "loss"
    """Of the eval split, as `early_stopping.metric` names them."""
    patience: int = Field(default=2, ge=1)
    """The epochs without a better metric after which the rate falls; then so many begin anew."""
    factor: float = Field(default=0.5, gt=0, lt=1)
    """What the rate is multiplied by."""


class OptimizerConfig(UpdateRule):
    """The optimizer and its learning rate's schedule."""

    embeddings: UpdateRule | None = None
    """Another rule for embedding tables, by TFRS's composite optimizer; the schedule and the clipping are common. The
    Wide & Deep pattern: `{name: adagrad, learning_rate: 0.1}`. Missing: one optimizer for all weights."""
    warmup_steps: int = Field(default=50, ge=0)
    schedule: Literal["constant", "linear", "cosine", "exponential", "plateau"] = "linear"
    """After the warm-up: constant; down to zero at the last step (`linear`; `cosine`, Loshchilov and Hutter, "SGDR",
    2017); down by the same factor at every step (`exponential`); or less wherever the eval split sees no progress
    (`plateau`)."""
    final_share: float = Field(default=0.01, gt=0, lt=1)
    """`exponential`: the last step's rate as a share of the peak."""
    plateau: PlateauConfig = PlateauConfig()
    weight_decay: float = Field(default=0.01, ge=0)
    """Of embeddings, where `adamw` trains them."""
    dense_weight_decay: float = Field(default=0.0, ge=0)
    """Of all other weights but biases and scales, where `adamw` trains them."""
    clip_norm: float = Field(default=5.0, gt=0)
    """Of all gradients together."""

    @model_validator(mode="after")
    def _dense_weights_decay_by_adamw(self) -> Self:
        if self.dense_weight_decay and self.name != "adamw":
            raise ValueError(f"`dense_weight_decay` should be left out with `{self.name}`: only `adamw` decays")
        return self


class BalancingConfig(Method):
    """How the tasks' losses are weighted against each other; the method's name alone may stand for it.

    With every method a task's own `weight` stays the factor of its balanced loss: its priority.
    """

    method: Literal["fixed", "uncertainty", "gradnorm", "pcgrad", "dwa"] = "fixed"
    """`fixed`: by the tasks' weights alone. `uncertainty`: learned noise of each task (Kendall et al., 2018).
    `gradnorm`: equal gradient norms, more for tasks that learn slowly (Chen et al., 2018). `pcgrad`: conflicting
    gradients are projected off each other (Yu et al., 2020). `dwa`: by how fast each loss fell in the last epochs
    (Liu et al., 2019)."""
    asymmetry: float = Field(default=1.5, ge=0)
    """`gradnorm`: the paper's alpha, how strongly tasks that learn slowly are favoured."""
    learning_rate: float = Field(default=0.025, gt=0)
    """`gradnorm`: of the weights."""
    temperature: float = Field(default=2.0, gt=0)
    """`dwa`: the higher, the more alike the weights."""


class HidingConfig(Section):
    """The shares of what training hides of its windows, so that the model learns what to make of a request without it.

    A part is hidden as a request leaves it out: its values are unknown or missing. In half of the windows each part is
    drawn for itself, in the others all are drawn together, so that the model also meets what a request of a user and
    items alone says: the least of the shares, and a half of that.
    """

    times: float = Field(default=0.1, ge=0, lt=1)
    """The windows without the times of the history's events, and without the context features that are read from
    them."""
    request_time: float = Field(default=0.1, ge=0, lt=1)
    """The positions without the time since the event before them, and without their own context features that are read
    from the time. What is popular stays that of the event's own day."""
    outcomes: float = Field(default=0.1, ge=0, lt=1)
    """The windows without the outcome features of the history's events."""
    context: float = Field(default=0.1, ge=0, lt=1)
    """The windows without the context features of the history's events; and the positions without their own."""
    user: float = Field(default=0.1, ge=0, lt=1)
    """The positions without the user's features."""
    user_id: float = Field(default=0.05, ge=0, lt=1)
    """The positions without the user's id: what they teach is what a user whom training has not seen is told."""


class PruningConfig(Section):
    """The smallest weights of the dense layers become zero, step by step (Zhu and Gupta, "To prune, or not to prune:
    exploring the efficacy of pruning for model compression", 2017).

    After a share p of the way from `start` to `end` the share (1 - (1 - p)^3) `sparsity` of every kernel is zero. What
    is zero stays zero. Embeddings, biases and scales are left alone.
    """

    sparsity: float = Field(default=0.5, gt=0, lt=1)
    """The share of each kernel's weights that is zero in the end."""
    start: float = Field(default=0.2, ge=0, lt=1)
    """The first pruning, as a share of the training's steps."""
    end: float = Field(default=0.8, gt=0, lt=1)
    """The last pruning; the steps after it train what is left."""
    every_steps: int = Field(default=50, ge=1)
    """Steps between two prunings."""

    @model_validator(mode="after")
    def _ends_after_the_start(self) -> "PruningConfig":
        if self.end <= self.start:
            raise ValueError(f"`end` should be above `start` ({self.start:g}). Received: {self.end:g}")
        return self


class DistillationConfig(Section):
    """A small model learns from a big one's soft answers beside the labels (Hinton, Vinyals and Dean, "Distilling the
    Knowledge in a Neural Network", 2015; for retrieval: Tang and Wang, "Ranking Distillation", 2018).

    Retrieval: the cross-entropy with the teacher's softmax over a sample of items. Multiclass tasks: with its classes.
    Other tasks: the squared difference of the scores before any link (Ba and Caruana, "Do Deep Nets Really Need to be
    Deep?", 2014). Tasks are matched by name.
    """

    teacher: str
    """A SavedModel that was exported with `serving.teaches`, or a folder of pushed versions, of which the newest
    counts. It should know the same items in the same order: trained on the same data."""
    weight: float = Field(default=1.0, gt=0)
    """The factor of these losses beside the tasks' own."""
    temperature: float = Field(default=2.0, gt=0)
    """What both models' scores are divided by in a softmax. The loss is multiplied by its square."""
    samples: int = Field(default=256, gt=0)
    """Items drawn by their train frequency, beside the batch's targets."""


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
