"""How the model is trained."""

from typing import Final, Literal, Self

from pydantic import ByteSize, Field, model_validator

from config.base import Method, Section
from config.cluster_jobs import AnyJob

LARGE_TABLE: Final = 20_000
"""The rows of the largest table that `lazy: auto` updates as a whole where every step embeds every item; as many as the
items of the largest catalogue that `auto` negatives compare every target with."""


class UpdateRule(Section):
    """An optimizer and its peak learning rate."""

    name: Literal["adamw", "adam", "adagrad", "sgd"] = "adamw"
    """AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019), Adam (Kingma and Ba, 2015), Adagrad
    (Duchi, Hazan and Singer, 2011) or stochastic gradient descent."""
    learning_rate: float = Field(default=4e-3, gt=0)
    """The peak learning rate, after the warm-up."""
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """`sgd` only: the share of the previous step that each step keeps."""
    nesterov: bool = False
    """`sgd` with momentum: whether the gradient is taken one step ahead (Sutskever et al., "On the importance of
    initialization and momentum in deep learning", 2013)."""

    @model_validator(mode="after")
    def _momentum_is_of_sgd(self) -> Self:
        if self.momentum and self.name != "sgd":
            raise ValueError(f"`momentum` should be left out with `{self.name}`: only `sgd` has it")
        if self.nesterov and not self.momentum:
            raise ValueError("`nesterov` needs a `momentum` above 0")
        return self


class PlateauConfig(Section):
    """When the schedule `plateau` reduces the learning rate."""

    metric: str = "loss"
    """A metric of the eval split, as in `early_stopping.metric`."""
    patience: int = Field(default=2, ge=1)
    """The number of epochs without a better metric after which the rate is reduced and the count starts anew."""
    factor: float = Field(default=0.5, gt=0, lt=1)
    """The factor by which the rate is reduced."""


class OptimizerConfig(UpdateRule):
    """The optimizer and its learning rate schedule."""

    embeddings: UpdateRule | None = None
    """Another rule for embedding tables, by TFRS's composite optimizer; schedule and clipping are shared. The Wide &
    Deep pattern is `{name: adagrad, learning_rate: 0.1}`. Defaults to one optimizer for all weights."""
    warmup_steps: int = Field(default=50, ge=0)
    """The number of steps over which the learning rate rises from 0 to its peak."""
    schedule: Literal["constant", "linear", "cosine", "exponential", "plateau"] = "linear"
    """The learning rate after the warm-up. `constant`: the peak. `linear`: falls to zero at the last step. `cosine`:
    likewise, along a cosine (Loshchilov and Hutter, "SGDR", 2017). `exponential`: falls by the same factor at every
    step. `plateau`: falls when the metric on the eval split no longer improves."""
    final_share: float = Field(default=0.01, gt=0, lt=1)
    """`exponential`: the rate at the last step as a share of the peak."""
    plateau: PlateauConfig = PlateauConfig()
    """The parameters of `plateau`."""
    weight_decay: float = Field(default=0.01, ge=0)
    """The weight decay of embeddings that are trained by `adamw`."""
    dense_weight_decay: float = Field(default=0.0, ge=0)
    """The weight decay of all other weights but biases and scales that are trained by `adamw`."""
    clip_norm: float = Field(default=5.0, gt=0)
    """The maximum global norm of all gradients."""
    lazy: Literal["auto"] | bool = "auto"
    """Whether a step updates only those rows of embedding tables that it has a gradient of, by `adamw`, `adam` and
    `sgd` with momentum; `adagrad` and plain `sgd` never update others. A step then costs as much as its events,
    whatever the size of the tables. The moments and weights of other rows stay as they are. Weight decay is caught up:
    a row that has a gradient again is first decayed by all steps since its last one, each at its own rate. `auto`:
    where negatives are sampled, and where a table has more than 20,000 rows. `averaging` gives the average over all
    steps in either case."""

    def updates_rows(self, reads_whole_catalogue: bool, rows: int) -> bool:
        """Returns whether a step updates the touched rows of tables alone; `rows` are those of the largest one."""
        if self.lazy != "auto":
            return self.lazy
        return not reads_whole_catalogue or rows > LARGE_TABLE

    @model_validator(mode="after")
    def _dense_weights_decay_by_adamw(self) -> Self:
        if self.dense_weight_decay and self.name != "adamw":
            raise ValueError(f"`dense_weight_decay` should be left out with `{self.name}`: only `adamw` decays")
        return self


class BalancingConfig(Method):
    """How the tasks' losses are weighted against each other. The section may be written as the method's name alone.

    With every method a task's own `weight` remains a factor of its balanced loss: its priority.
    """

    method: Literal["fixed", "uncertainty", "gradnorm", "pcgrad", "dwa"] = "fixed"
    """`fixed`: by the tasks' weights alone. `uncertainty`: by a learned noise of each task (Kendall et al., 2018).
    `gradnorm`: to equal gradient norms, greater for tasks that learn slowly (Chen et al., 2018). `pcgrad`: conflicting
    gradients are projected onto each other's normal plane (Yu et al., 2020). `dwa`: by the rate at which each loss fell
    in the last epochs (Liu et al., 2019)."""
    asymmetry: float = Field(default=1.5, ge=0)
    """`gradnorm`: the paper's alpha, by which tasks that learn slowly are favoured."""
    learning_rate: float = Field(default=0.025, gt=0)
    """`gradnorm`: the learning rate of the weights."""
    temperature: float = Field(default=2.0, gt=0)
    """`dwa`: higher temperatures give more equal weights."""


class HidingConfig(Section):
    """The shares of training inputs that are hidden, so that the model learns to answer requests without them.

    A part is hidden in the form in which a request omits it: its values are unknown or missing. In half of the windows
    the parts are drawn independently. In the others one draw decides about all of them, so that in half of the lowest
    share of windows all parts are hidden, and the model learns from a user and items alone.
    """

    times: float = Field(default=0.1, ge=0, lt=1)
    """The share of windows without the times of the history's events, and without the context features that are derived
    from them."""
    request_time: float = Field(default=0.1, ge=0, lt=1)
    """The share of positions without the time since the event before them, and without their own context features that
    are derived from the time. Recent popularity remains that of the event's own day."""
    outcomes: float = Field(default=0.1, ge=0, lt=1)
    """The share of windows without the outcome features of the history's events."""
    context: float = Field(default=0.1, ge=0, lt=1)
    """The share of windows without the context features of the history's events, and of positions without their own."""
    user: float = Field(default=0.1, ge=0, lt=1)
    """The share of positions without the user's features."""
    user_id: float = Field(default=0.05, ge=0, lt=1)
    """The share of positions without the user's id, from which the representation of unknown users is learned."""


class PruningConfig(Section):
    """Sets the smallest weights of the dense layers to zero, step by step (Zhu and Gupta, "To prune, or not to prune:
    exploring the efficacy of pruning for model compression", 2017).

    At a share p of the way from `start` to `end`, the share (1 - (1 - p)^3) `sparsity` of every kernel is zero. Pruned
    weights stay zero. Embeddings, biases and scales are not pruned.
    """

    sparsity: float = Field(default=0.5, gt=0, lt=1)
    """The final share of zeros in each kernel."""
    start: float = Field(default=0.2, ge=0, lt=1)
    """The first pruning, as a share of the training steps."""
    end: float = Field(default=0.8, gt=0, lt=1)
    """The last pruning, as a share of the training steps; the steps after it train the remaining weights."""
    every_steps: int = Field(default=50, ge=1)
    """The number of steps between two prunings."""

    @model_validator(mode="after")
    def _ends_after_the_start(self) -> "PruningConfig":
        if self.end <= self.start:
            raise ValueError(f"`end` should be above `start` ({self.start:g}). Received: {self.end:g}")
        return self


class DistillationConfig(Section):
    """Trains a small model on the soft predictions of a larger one beside the labels (Hinton, Vinyals and Dean,
    "Distilling the Knowledge in a Neural Network", 2015; for retrieval: Tang and Wang, "Ranking Distillation", 2018).

    The losses are, for retrieval, the cross-entropy with the teacher's softmax over a sample of items; for multiclass
    tasks, that over the classes; for other tasks, the squared difference of the scores before any link (Ba and Caruana,
    "Do Deep Nets Really Need to be Deep?", 2014). Tasks are matched by name.
    """

    teacher: str
    """A SavedModel that was exported with `serving.teaches`, or a folder of pushed versions, of which the newest is
    used. It has to know the same items in the same order, so it has to be trained on the same data."""
    weight: float = Field(default=1.0, gt=0)
    """The factor of these losses beside the tasks' own."""
    temperature: float = Field(default=2.0, gt=0)
    """The temperature of both models' softmaxes. The loss is multiplied by its square."""
    samples: int = Field(default=256, gt=0)
    """The number of items drawn by train frequency, beside the batch's targets."""


class WarmStartConfig(Section):
    """Starts training from the weights and the optimizer's slots of an earlier model, and keeps this model's own for a
    later training, in a folder beside the model that servers do not read.

    Rows of tables that ids or categories number are moved by id, everything else by name. What has another shape, or is
    new, starts as without this key; the run's log and report name it. The base is the newest blessed model of this
    pipeline that is older than this run's data, so that a run again of the same data starts from the same model.
    """

    model: str | None = None
    """The folder of another model to start from, `<root>/<name>/artifacts/Trainer/model/<number>`: an older one, or one
    of another data set with features in common. It has to be trained with `warm_start` too. Defaults to the newest
    blessed model."""
    ids: bool | None = None
    """Whether the rows of users' and items' ids move. Defaults to true for a model of a pipeline of the same `name`,
    and to false for others, whose ids may mean something else."""
    epochs: int | None = Field(default=1, gt=0)
    """The number of epochs of a training that starts warm, in place of `training.epochs`. `null`: the same number."""
    learning_rate_factor: float = Field(default=1.0, gt=0)
    """The factor of the optimizer's peak learning rates in a training that starts warm."""


Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


class EarlyStopping(Section):
    """Stops training when the metric on the eval split has not improved for `patience` epochs, and keeps the best
    weights. Of epochs that differ by no more than noise (a quarter of the standard error) the last is the best."""

    metric: str | None = None
    """One of the printed metrics: `loss`, `<task>_loss`, `ndcg@10`, `recall@10`, `hr@10`, `<task>/rmse`, `<task>/auc`,
    `<task>/accuracy`, `<task>/pairwise_accuracy`. Defaults to `ndcg@K` for the greatest K of `evaluation.ks` if there
    is a retrieval task, since its loss rises long before its ranking gets worse, and to `loss` otherwise. Metrics are
    averages over a random sample of the eval users, warm and cold in proportion. `loss` is the sum of the losses by the
    tasks' configured weights, whatever the balancing."""
    patience: int | None = Field(default=None, ge=1)
    """The number of epochs without an improvement. Defaults to half of the training's epochs, but at least 5: while the
    learning rate is high, metrics may get worse for some epochs and improve once it falls."""

    task_patience: int | None = Field(default=3, ge=1)
    """The number of epochs without an improvement of a task's own eval loss after which its gradient no longer reaches
    the shared layers; its head is still trained. Ranking tasks often overfit while retrieval still improves. `null`:
    all tasks train the shared layers to the end."""

    def patience_in(self, epochs: int) -> int:
        """Returns the patience in a training of so many epochs."""
        return self.patience or max(epochs // 2, 5)


class AveragingConfig(Section):
    """Evaluates and exports an exponential moving average of the weights (Polyak and Juditsky, "Acceleration of
    Stochastic Approximation by Averaging", 1992)."""

    decay: float = Field(default=0.999, gt=0, lt=1)
    """The share of the average that each step keeps, at most (1 + t) / (10 + t) after step t."""


class TrainingConfig(Section):
    """The length of training, its batches and its devices."""

    epochs: int | None = Field(default=None, gt=0)
    """Defaults to 16, or to as many as take 10,000 steps if these are fewer, but at least 5."""
    max_steps: int | None = Field(default=None, gt=0)
    """The maximum number of steps."""
    batch_size: int | None = Field(default=None, gt=0)
    """The number of windows in the global batch, whatever the number of replicas. By default, windows of similar length
    are batched together, with about 800 targets but between 16 and 1,024 windows in a batch, and at least 100 batches
    in an epoch."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """The optimizer."""
    balancing: BalancingConfig = BalancingConfig()
    """The balancing of the tasks' losses."""
    averaging: AveragingConfig | None = None
    """The averaging of weights. Defaults to none."""
    warm_start: WarmStartConfig | None = None
    """The start from an earlier model's weights: `{}` turns it on. Defaults to none: training starts from random
    weights."""
    hide: HidingConfig | None = HidingConfig()
    """The inputs that are hidden at random, so that requests may omit them. `null`: none."""
    early_stopping: EarlyStopping | None = EarlyStopping()
    """`null`: all epochs are trained and the last weights are kept. The same holds without an eval split, if `fit_on`
    includes it, and with `pruning`, which reaches its sparsity late."""
    pruning: PruningConfig | None = None
    """The pruning of dense layers. Defaults to none."""
    distillation: DistillationConfig | None = None
    """The distillation of another model. Defaults to none."""
    precision: Precision = "float32"
    """`mixed_bfloat16` (CPUs with AVX512-BF16 or AMX), `mixed_float16` (GPUs of compute capability 7.0, with loss
    scaling): 16-bit matrix products in training, with 32-bit weights (Micikevicius et al., "Mixed Precision Training",
    2018). On other devices training reports this and continues in float32. The exported model is float32."""
    strategy: Literal["one_device", "mirrored", "multi_worker", "parameter_server", "tpu"] = "one_device"
    """`mirrored`: all GPUs of a machine, or `replicas` logical CPUs. `multi_worker`: the machines in the environment
    variable `TF_CONFIG`, with their GPUs, or their CPUs as one device each; the chief runs the pipeline, the others
    `tfx_runner.py worker`; or the processes that `run --workers` starts on this machine. The same global batches give
    the same losses and weights with each of these. `parameter_server`: tables of 1,000 rows and more are divided among
    the servers of `TF_CONFIG` (`ps`) or of `run --servers`, and workers train on batches of their own without waiting
    for each other: the weights are not those of one device, nor the same twice. `tpu`: the TPU of the key `tpu`; it was
    not run on one."""
    job: AnyJob | None = None
    """`multi_worker`: the job on a cluster that the Trainer submits and waits for, instead of training itself. Where
    `TF_CONFIG` names this process's cluster, or `run --workers` makes one, none is submitted."""
    tpu: str | None = None
    """The TPU of the strategy `tpu`: its name, `grpc://host:port`, or `local` on its own machine. Defaults to the
    environment variable `TPU_NAME`."""
    replicas: int | None = Field(default=None, gt=1)
    """The number of logical CPU devices of `mirrored` without a GPU. Defaults to all GPUs."""
    fit_on: tuple[Literal["train", "eval"], ...] = ("train",)
    """The splits that the model is trained on. `[train, eval]` fits a final model on everything but test."""
    seed: int = 42
    """The seed of initial weights, shuffling, dropout and sampling."""
    checkpoint_every_epochs: int = Field(default=1, gt=0)
    """The number of epochs between two checkpoints."""
    checkpoint_every_minutes: float = Field(default=10, gt=0)
    """The number of minutes after which a checkpoint is saved inside an epoch, too: so much work at most is lost where
    training is killed, beside the epochs of `checkpoint_every_epochs`."""
    memory_limit: ByteSize | None = Field(default=None, gt=0)
    """The maximum memory of the model's tables with the optimizer's slots, such as `8GB` or `8GiB`: of ids, features,
    catalogue, trend and index. `check --full` and the Trainer, before it builds the model, refuse a model whose tables
    need more, and name the largest. Layers and batches are not counted, nor neighbours and rating baselines, whose size
    is known only after training. Defaults to no limit."""

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
    def has_cluster(self) -> bool:
        """Whether several processes train: those of `TF_CONFIG`, or those that `run` starts."""
        return self.strategy in ("multi_worker", "parameter_server")

    @property
    def stopping(self) -> EarlyStopping | None:
        """`early_stopping`, or None if the eval split is trained on or weights are pruned."""
        return None if "eval" in self.fit_on or self.pruning is not None else self.early_stopping
