"""Neighbourhoods for a trained model."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final, NamedTuple, get_args

import scipy.sparse as sp

from config.model import NeighbourKind, NeighboursConfig
from config.progress import say
from trainer.data.dataset import WindowData
from trainer.data.user_sample import UserSample
from trainer.model.recommender import RecommenderModel
from trainer.stacking.event_log import TrainLog, read_log
from trainer.stacking.item_pairs import cosine_links, regression_links, transition_links
from trainer.stacking.left_out import LeftOut
from trainer.stacking.neighbour_weights import TOP, choose_weights
from trainer.stacking.neighbours import Neighbours, NeighbourTable

Say = Callable[[str], object]
"""What a sentence goes to."""

_KINDS: Final[tuple[NeighbourKind, ...]] = get_args(NeighbourKind)


def fit_neighbours(
    model: RecommenderModel, train: WindowData, sample: UserSample | None, left_out: LeftOut, say: Say = say
) -> Neighbours | None:
    """Finds the items' neighbours and chooses the weights, if they are not configured. Says what it did.

    Args:
        model: trained.
        train: the windows that it was trained on.
        sample: of the eval split; None where it is empty or trained on.
        left_out: is observed what is left out, and why.
        say: is observed what was chosen and why.

    Returns:
        None where none are configured, where none help, or where nothing is left to choose the weights on.
    """
    config = model.config.model.neighbours
    if config is None or model.retrieval_name is None:
        return None
    spec = model.spec
    wanted = [kind for kind in _KINDS if config.looks_for(kind)]
    tell = partial(left_out.tell, model.retrieval_name)
    if config.weights is None and sample is None:
        tell(wanted, "no eval split is held out to weigh them on; `model.neighbours.weights` may weigh them")
        return None
    log = read_log(train, spec.item_count, spec.user_count, config.window, config.decay)
    found = dict(_kinds(config, log, spec.config.has_order))
    kinds = {name: kind for name, kind in found.items() if kind.links.nnz}
    tell([kind for kind in wanted if kind not in found], "the log has no order")
    tell([kind for kind in found if kind not in kinds], "the train log links no two items")
    weights = _weights(config, model, kinds, sample, left_out, say)
    if kinds and not weights:
        tell(kinds, "no eval window has a target to weigh them on")
    tables = joined_tables(kinds, weights)
    return Neighbours(tables, spec.item_count, weights) if tables else None


class Kind(NamedTuple):
    """One kind of neighbourhood, as `NeighbourTable` takes it."""

    links: sp.csr_matrix
    decay: float


def joined_tables(kinds: Mapping[str, Kind], weights: Mapping[str, float]) -> list[NeighbourTable]:
    """The weighted kinds; those of one decay are one table, which costs a request less. Without those of no weight."""
    joined: dict[float, sp.csr_matrix] = {}
    for name, (links, decay) in kinds.items():
        if weight := weights.get(name):
            joined[decay] = weight * links + joined.get(decay, 0)
    return [NeighbourTable(links, decay, name=f"table_{n}") for n, (decay, links) in enumerate(joined.items())]


def _kinds(config: NeighboursConfig, log: TrainLog, has_order: bool) -> Iterator[tuple[str, Kind]]:
    if config.looks_for("cosine"):
        yield "cosine", Kind(cosine_links(log.users, config.cosine), 1.0)
    if config.looks_for("regression"):
        links = regression_links(log.users, config.regression, config.regression_items, config.l2)
        yield "regression", Kind(links, 1.0)
    if config.looks_for("transitions") and has_order:
        links = transition_links(log.followed, log.users, config.transitions, config.damping)
        yield "transitions", Kind(links, config.decay)


def _weights(
    config: NeighboursConfig,
    model: RecommenderModel,
    kinds: Mapping[str, Kind],
    sample: UserSample | None,
    left_out: LeftOut,
    say: Say,
) -> Mapping[str, float]:
    if config.weights is not None:
        return {str(name): weight for name, weight in config.weights.items() if name in kinds}
    tables = [NeighbourTable(*kind, name=name) for name, kind in kinds.items()]
    choice = choose_weights(model, tables, sample) if tables and sample else None
    if choice is None:
        return {}
    weights = dict(zip(kinds, choice.weights, strict=True))
    measured = f"ndcg@{TOP} of {choice.users:,} eval users"
    for name, weight, alone in zip(kinds, choice.weights, choice.gain_alone, strict=True):
        if not weight:
            others = f"{choice.gain_without:.4f} by the towers, {choice.gain:.4f} as chosen"
            left_out.tell(str(model.retrieval_name), [name], f"{measured}: {alone:.4f} with it, {others}")
    if any(choice.weights):
        contribution = ", ".join(f"{name} {weight:.3g}" for name, weight in weights.items() if weight)
        gain = f"{choice.gain - choice.gain_without:+.4f} ± {choice.error:.4f}"
        say(f"neighbours: {contribution}; {measured} {choice.gain_without:.4f} -> {choice.gain:.4f} ({gain})")
    return weights
