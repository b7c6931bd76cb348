"""How the tasks share the model."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline.config.base import Method


class SharingConfig(Method):
    """How the tasks, retrieval among them, share the query's state; the method's name alone may stand for it."""

    method: Literal["hard", "cross_stitch", "mmoe", "ple"] = "hard"
    """`hard`: one state for all (Caruana, 1997). `cross_stitch`: layers of each task's own whose activations are
    mixed (Misra et al., 2016). `mmoe`: common experts, a gate for each task (Ma et al., 2018). `ple`: common and own
    experts, gated level by level (Tang et al., 2020)."""
    experts: int = Field(default=4, gt=0)
    """`mmoe`: all experts. `ple`: the common ones of a level."""
    task_experts: int = Field(default=2, gt=0)
    """`ple`: experts of each task's own, in each level."""
    levels: int = Field(default=2, gt=0)
    """`cross_stitch`: layers of each task's tower. `ple`: levels of experts."""
    expert_width: int | None = Field(default=None, gt=0)
    """Of each expert or tower layer, and so of the tasks' states; `dimension` when missing."""
    residual: bool = True
    """Experts and towers add to the shared state, which reaches every task as it is with `hard` (He et al., "Deep
    Residual Learning for Image Recognition", 2016). False: they replace it, as in the papers above."""

    @model_validator(mode="after")
    def _adds_what_is_as_wide(self) -> "SharingConfig":
        if self.expert_width is not None and self.residual:
            raise ValueError(
                "`expert_width` should be left out, or `residual` false: what is added is `dimension` wide"
            )
        return self
