"""The configured kind of negatives."""

from pipeline.config import Config
from pipeline.config.tasks import RetrievalTask
from trainer.catalogue import Catalogue
from trainer.mining import MinedNegatives
from trainer.negatives import (
    AllItems,
    BatchDraws,
    Draws,
    FrequencyDraws,
    NegativeSampler,
    SampledNegatives,
    UniformDraws,
)
from trainer.randomness import Randomness


def make_sampler(config: Config, catalogue: Catalogue, randomness: Randomness) -> NegativeSampler | None:
    """What `retrieval.negatives` asks for; None without a retrieval task."""
    task = config.retrieval
    if task is None:
        return None
    if task.negatives == "full":
        return AllItems(catalogue.size)
    sample = SampledNegatives(_draws(task, catalogue, randomness))
    if task.negatives == "hard":
        trends = len(config.features.trend.days) if config.features.trend else 0
        return MinedNegatives(task.hard, catalogue.size, config.model.dimension + 1 + trends, sample, randomness)
    return sample


def _draws(task: RetrievalTask, catalogue: Catalogue, randomness: Randomness) -> list[Draws]:
    draws: list[Draws] = []
    if task.negatives in ("in_batch", "mixed"):
        draws.append(BatchDraws(catalogue.frequencies))
    if task.negatives in ("uniform", "mixed"):
        draws.append(UniformDraws(catalogue.size, task.samples, randomness))
    if task.negatives in ("frequency", "hard"):
        draws.append(FrequencyDraws(catalogue.frequencies, task.samples, randomness))
    return draws
