"""How a model is made smaller while it trains."""

from pydantic import Field, model_validator

from pipeline.config.base import Section


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
