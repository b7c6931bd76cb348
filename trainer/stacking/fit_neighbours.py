"""Fits item neighbourhoods on a trained model, and chooses the weight of each kind on the eval split."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, get_args

import numpy as np
import scipy.sparse as sp
import tensorflow as tf
from numpy.typing import NDArray

from config import feature_names
from config.model import NeighbourKind, NeighboursConfig
from config.progress import say
from trainer.data.dataset import WindowData
from trainer.data.user_sample import UserSample
from trainer.data.windows import Window
from trainer.metrics.ranking import standard_error
from trainer.model.recommender import RecommenderModel
from trainer.stacking.item_pairs import cosine_links, regression_links, transition_links
from trainer.stacking.neighbours import Neighbours, NeighbourTable
from trainer.stacking.recommender import LeftOut
from trainer.stacking.train_log import TrainLog, read_log
from trainer.stacking.weighted_ranks import weighted_ranks
from trainer.training.validation import UserGains

_KINDS: Final[tuple[NeighbourKind, ...]] = get_args(NeighbourKind)
_TOP: Final = 100
"""Weights maximise the NDCG at this rank."""
_COARSE: Final = (0.0, 0.1, 0.4, 1.6)
"""The weights that are tried first, of scores that are scaled to a root mean square of 1."""
_FINE: Final = (0.5, 1.0, 2.0)
"""The factors of the best of them that are tried then."""
_CELLS: Final = 1 << 24
"""Scores per batch at most."""
_SCORES: Final = 1 << 31
"""Scores of the towers that weights are chosen on, about: the whole sample up to 262,144 items, a part of more."""
_LEAST_WINDOWS: Final = 512
_SCALE_BATCHES: Final = 8
"""Batches that the scores' scale is estimated on."""


class Kind(NamedTuple):
    """One kind of neighbourhood: the arguments of `NeighbourTable`."""

    links: sp.csr_matrix
    decay: float


def fit_neighbours(
    model: RecommenderModel,
    train: WindowData,
    sample: UserSample | None,
    left_out: LeftOut,
    report: Callable[[str], object] = say,
) -> Neighbours | None:
    """Computes the items' neighbours and chooses the weights of the kinds unless they are configured.

    Args:
        model: The trained model.
        train: The windows that it was trained on.
        sample: A sample of the eval split. None: the split is empty or trained on, and no weights are chosen.
        left_out: Collects the kinds that are left out.
        report: Receives a line with the chosen weights.

    Returns:
        None if no kind is configured or helps, or if weights can be neither chosen nor read from the configuration.
    """
    config = model.config.model.neighbours
    if config is None or model.retrieval_name is None:
        return None
    spec = model.spec
    wanted = [kind for kind in _KINDS if config.looks_for(kind)]
    leave_out = partial(left_out.add, model.retrieval_name)
    if config.weights is None and sample is None:
        leave_out(wanted, "no eval split is held out to weigh them on; `model.neighbours.weights` may weigh them")
        return None
    log = read_log(train, spec.item_count, spec.user_count, config.window, config.decay)
    computed = dict(_compute_kinds(config, log, spec.config.has_order))
    kinds = {name: kind for name, kind in computed.items() if kind.links.nnz}
    leave_out([kind for kind in wanted if kind not in computed], "the log has no order")
    leave_out([kind for kind in computed if kind not in kinds], "the train log links no two items")
    if config.weights is not None:
        weights = {str(name): weight for name, weight in config.weights.items() if name in kinds}
    else:
        weights = _report_choice(model, kinds, sample, leave_out, report) if kinds and sample else {}
    if kinds and not weights:
        leave_out(kinds, "no eval window has a target to weigh them on")
    tables = joined_tables(kinds, weights)
    return Neighbours(tables, spec.item_count, weights) if tables else None


def joined_tables(kinds: Mapping[str, Kind], weights: Mapping[str, float]) -> list[NeighbourTable]:
    """Builds the tables of the weighted kinds; kinds of the same decay share one, which makes requests cheaper."""
    joined: dict[float, sp.csr_matrix] = {}
    for name, (links, decay) in kinds.items():
        if weight := weights.get(name):
            joined[decay] = weight * links + joined.get(decay, 0)
    return [NeighbourTable(links, decay, name=f"table_{n}") for n, (decay, links) in enumerate(joined.items())]


def _compute_kinds(config: NeighboursConfig, log: TrainLog, has_order: bool) -> Iterator[tuple[str, Kind]]:
    if config.looks_for("cosine"):
        yield "cosine", Kind(cosine_links(log.interactions, config.cosine), 1.0)
    if config.looks_for("regression"):
        links = regression_links(log.interactions, config.regression, config.regression_items, config.l2)
        yield "regression", Kind(links, 1.0)
    if config.looks_for("transitions") and has_order:
        links = transition_links(log.transitions, log.interactions, config.transitions, config.damping)
        yield "transitions", Kind(links, config.decay)


def _report_choice(
    model: RecommenderModel,
    kinds: Mapping[str, Kind],
    sample: UserSample,
    leave_out: Callable[[Sequence[str], str], object],
    report: Callable[[str], object],
) -> dict[str, float]:
    """Chooses the weights of kinds, and reports the NDCG with and without them; {} if nothing can be chosen."""
    choice = choose_weights(model, [NeighbourTable(*kind, name=name) for name, kind in kinds.items()], sample)
    if choice is None:
        return {}
    weights = dict(zip(kinds, choice.weights, strict=True))
    metric = f"ndcg@{_TOP} of {choice.users:,} eval users"
    for (name, weight), alone in zip(weights.items(), choice.ndcg_alone, strict=True):
        if not weight:
            others = f"{choice.ndcg_without:.4f} by the towers, {choice.ndcg:.4f} as chosen"
            leave_out([name], f"{metric}: {alone:.4f} with it, {others}")
    if any(choice.weights):
        used = ", ".join(f"{name} {weight:.3g}" for name, weight in weights.items() if weight)
        gain = f"{choice.ndcg - choice.ndcg_without:+.4f} ± {choice.error:.4f}"
        report(f"neighbours: {used}; {metric} {choice.ndcg_without:.4f} -> {choice.ndcg:.4f} ({gain})")
    return weights


@dataclass(frozen=True)
class Choice:
    """The chosen weights, and means of the sampled eval users' NDCG@100.

    Attributes:
        weights: The weight of each table.
        ndcg: With these weights.
        ndcg_without: Of the towers alone.
        ndcg_alone: With each table alone, at the best of its weights.
        error: The standard error of the gain; of the best combination's if no table is chosen.
        users: The number of users.
    """

    weights: tuple[float, ...]
    ndcg: float
    ndcg_without: float
    ndcg_alone: tuple[float, ...]
    error: float
    users: int


def choose_weights(model: RecommenderModel, tables: Sequence[NeighbourTable], sample: UserSample) -> Choice | None:
    """Searches a grid of weights and then a finer one around the best; of equally good weights the first are taken.

    Args:
        model: The trained model.
        tables: One table for each kind.
        sample: A sample of the eval split.

    Returns:
        None if no window has a target that counts.
    """
    size = model.spec.item_count
    sample = sample.first(max(_LEAST_WINDOWS, _SCORES // size))
    batches = sample.batches(max(1, min(128, _CELLS // size)))
    kinds = [Neighbours([table], size) for table in tables]
    scales, ndcg = _scales(model, kinds, batches), _ndcg_function(model, kinds, sample, batches)
    coarse = np.array(list(itertools.product(_COARSE, repeat=len(kinds))))
    of_coarse = ndcg(coarse * scales)
    if not of_coarse.size:
        return None
    means = of_coarse.mean(axis=1)
    around = [np.unique(weight * np.array(_FINE)) for weight in coarse[np.argmax(means)]]
    fine = np.array(list(itertools.product(*around)))
    tried, of_tried = np.concatenate([coarse, fine]), np.concatenate([of_coarse, ndcg(fine * scales)])
    best = int(np.argmax(of_tried.mean(axis=1)))
    other = best or 1 + int(np.argmax(of_tried[1:].mean(axis=1)))
    is_alone = (tried > 0).sum(axis=1) == 1
    return Choice(
        tuple(map(float, tried[best] * scales)),
        float(of_tried[best].mean()),
        float(means[0]),
        tuple(float(of_tried[is_alone & (tried[:, n] > 0)].mean(axis=1).max()) for n in range(len(kinds))),
        standard_error(of_tried[other] - of_tried[0]),
        of_tried.shape[1],
    )


def _scales(model: RecommenderModel, kinds: Sequence[Neighbours], batches: tf.data.Dataset) -> NDArray[np.float64]:
    """Computes the factors that scale each kind's scores to a root mean square of 1 over histories that have scores; 0
    for a kind without any."""
    histories = [model.encode_newest(window).items for window in batches.take(_SCALE_BATCHES)]
    means = np.zeros(len(kinds))
    for n, kind in enumerate(kinds):
        squares = np.concatenate([tf.reduce_mean(kind.scores(history) ** 2, axis=1).numpy() for history in histories])
        means[n] = squares[squares > 0].mean() if squares.any() else 0.0
    return np.divide(1, np.sqrt(means), out=np.zeros_like(means), where=means > 0)


def _ndcg_function(
    model: RecommenderModel, kinds: Sequence[Neighbours], sample: UserSample, batches: tf.data.Dataset
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Returns a function that computes the NDCG@100 of the sampled users with weighted neighbourhoods.

    It takes G combinations of the weights of K kinds, float [G, K], and returns float [G, users]; float [0] if no
    window has a target that counts.
    """
    candidates, config = tf.transpose(model.candidate_embeddings()), model.config

    @tf.function(input_signature=[batches.element_spec, tf.TensorSpec([None, len(kinds)])], autograph=False)
    def target_ranks_of(window: Window, grid: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        state = model.encode_newest(window)
        item, seen = window[feature_names.ITEM_ID][:, -1], window[feature_names.SEEN_ITEM_ID]
        seen = seen if config.evaluation.mask_seen else seen[:, :0]
        scores = model.retrieval_scores(window, state, candidates)
        ranked = weighted_ranks(scores, kinds, state.items, item, seen, grid, _TOP)
        return ranked, window[feature_names.IS_POSITIVE][:, -1]

    def compute(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        grid = tf.constant(weights, tf.float32)
        found = zip(*(target_ranks_of(window, grid) for window in batches), strict=True)
        ranks, is_counted = (np.concatenate(parts, axis=-1) for parts in found)
        if not is_counted.any():
            return np.zeros(0)
        gains = UserGains(sample, is_counted, config.split.history == "frozen")
        return np.stack([gains.ndcg(rank, _TOP) for rank in ranks])

    return compute
