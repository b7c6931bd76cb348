"""How weights follow their gradients: the optimizer, its learning rate's schedule and weight decay."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.config.base import Section


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
    """The epochs without a better figure after which the rate falls; then so many begin anew."""
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
