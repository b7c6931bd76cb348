"""Neighbourhoods for a trained model."""

from collections.abc import Iterator, Mapping

from pipeline.config.neighbours import NeighbourKind, NeighboursConfig
from trainer.data import WindowData
from trainer.model import RecommenderModel
from trainer.neighbours.links import cosine_links, regression_links, transition_links
from trainer.neighbours.log import TrainLog, read_log
from trainer.neighbours.scores import Neighbours, NeighbourTable
from trainer.neighbours.weights import TOP, choose_weights


def build_neighbours(model: RecommenderModel, train: WindowData, held_out: WindowData | None) -> Neighbours | None:
    """Finds the items' neighbours and chooses the weights, if they are not configured. Says what it did.

    Args:
        model: trained, without neighbourhoods.
        train: the windows that it was trained on.
        held_out: the eval split; None where it is empty or trained on.

    Returns:
        None where none are configured, where none help, or where nothing is left to choose the weights on.
    """
    config = model.config.model.neighbours
    if config is None or model.retrieval_name is None:
        return None
    spec = model.spec
    if config.weights is None and held_out is None:
        print("neighbours: left out, since no eval split is held out to weigh them; `model.neighbours.weights` may")
        return None
    log = read_log(train, spec.item_count, spec.user_count, config.window, config.decay)
    tables = {table.name: table for table in _tables(config, log, spec.config.has_order)}
    weights = _weights(config, model, tables, held_out)
    used = {name: weight for name, weight in weights.items() if weight and name in tables}
    return Neighbours([tables[name] for name in used], list(used.values()), spec.item_count) if used else None


def _tables(config: NeighboursConfig, log: TrainLog, has_order: bool) -> Iterator[NeighbourTable]:
    if _counts(config, "cosine"):
        yield NeighbourTable(cosine_links(log.users, config.cosine), 1.0, name="cosine")
    if _counts(config, "regression"):
        links = regression_links(log.users, config.regression, config.regression_items, config.l2)
        yield NeighbourTable(links, 1.0, name="regression")
    if _counts(config, "transitions") and has_order:
        links = transition_links(log.followed, log.users, config.transitions, config.damping)
        yield NeighbourTable(links, config.decay, name="transitions")


def _counts(config: NeighboursConfig, kind: NeighbourKind) -> bool:
    """Whether the kind is there; what configured weights leave out is not looked for."""
    return getattr(config, kind) > 0 and bool(config.weights is None or config.weights.get(kind))


def _weights(
    config: NeighboursConfig, model: RecommenderModel, tables: dict[str, NeighbourTable], held_out: WindowData | None
) -> Mapping[str, float]:
    if config.weights is not None:
        return {str(name): weight for name, weight in config.weights.items()}
    choice = choose_weights(model, list(tables.values()), held_out) if tables and held_out else None
    if choice is None:
        return {}
    weights = dict(zip(tables, choice.weights, strict=True))
    said = ", ".join(f"{name} {weight:.3g}" for name, weight in weights.items())
    print(f"neighbours: {said}; ndcg@{TOP} on eval {choice.gain_without:.4f} -> {choice.gain:.4f}")
    return weights
