"""The configured kind of negatives."""

from config import Config
from trainer.data.catalogue import Catalogue
from trainer.distributed.randomness import Randomness
from trainer.losses.hard_negatives import MinedNegatives
from trainer.losses.negatives import (
    AllItems,
    BatchDraws,
    Draws,
    FrequencyDraws,
    NegativeSampler,
    SampledNegatives,
    UniformDraws,
)

WHOLE_CATALOGUE = 20_000
"""Up to so many items, `auto` compares a target with all of them; beyond, that would be most of a step's work."""


def make_sampler(config: Config, catalogue: Catalogue, randomness: Randomness) -> NegativeSampler | None:
    """What `retrieval.negatives` asks for; None without a retrieval task."""
    task = config.retrieval
    if task is None:
        return None
    kind = task.negatives if task.negatives != "auto" else _kind_for(catalogue.size)
    if kind == "full":
        return AllItems(catalogue.size)
    sample = SampledNegatives(_draws(kind, task.samples, catalogue, randomness))
    if kind == "hard":
        trends = len(config.trend.days) if config.trend else 0
        return MinedNegatives(task.hard, catalogue.size, config.model.dimension + 1 + trends, sample, randomness)
    return sample


def _kind_for(size: int) -> str:
    return "full" if size <= WHOLE_CATALOGUE else "frequency"


def _draws(kind: str, samples: int, catalogue: Catalogue, randomness: Randomness) -> list[Draws]:
    draws: list[Draws] = []
    if kind in ("in_batch", "mixed"):
        draws.append(BatchDraws(catalogue.frequencies))
    if kind in ("uniform", "mixed"):
        draws.append(UniformDraws(catalogue.size, samples, randomness))
    if kind in ("frequency", "hard"):
        draws.append(FrequencyDraws(catalogue.frequencies, samples, randomness))
    return draws
