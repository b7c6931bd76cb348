"""How the tasks' losses are balanced."""

from typing import Literal

from pydantic import Field

from pipeline.config.base import Method


class BalancingConfig(Method):
    """How the tasks' losses are weighed against each other; the method's name alone may stand for it.

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
