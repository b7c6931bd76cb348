"""The peers by name, each with the settings among which eval chooses."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Final

from benchmarks.peers.bias import BiasModel
from benchmarks.peers.blend import Blend, FitOnce
from benchmarks.peers.ease import EASE
from benchmarks.peers.item_knn import ItemKNN
from benchmarks.peers.popularity import Popularity, RecentPopularity
from benchmarks.peers.ranking import Ranker
from benchmarks.peers.rating import Rater
from benchmarks.peers.svd import SVD
from benchmarks.peers.transitions import Transitions

Rankers = Callable[[Mapping[str, Ranker]], Sequence[Ranker]]
"""From the peers chosen before, by name, to the candidates."""

BLENDED: Final = ("transitions", "EASE", "recent popularity")


def _item_knn(_: Mapping[str, Ranker]) -> Sequence[Ranker]:
    return [ItemKNN(*settings) for settings in ((20, 0.0), (50, 0.0), (200, 50.0))]


def _als(_: Mapping[str, Ranker]) -> Sequence[Ranker]:
    from benchmarks.peers.factors import ImplicitALS

    return [ImplicitALS(*settings) for settings in product((32, 128), (1.0, 10.0), (1.0, 5.0))]


def _bpr(_: Mapping[str, Ranker]) -> Sequence[Ranker]:
    from benchmarks.peers.factors import BPR

    return [BPR(factors, regularization=penalty) for factors, penalty in product((32, 64, 128), (0.01, 0.05))]


def _tfrs_tutorial(_: Mapping[str, Ranker]) -> Sequence[Ranker]:
    from benchmarks.peers.tfrs_tutorial import TFRSTutorial

    return [TFRSTutorial()]


def _transitions(_: Mapping[str, Ranker]) -> Sequence[Ranker]:
    settings = product((0.8, 0.9), (0.6, 0.8, 0.9), (0.0, 0.2, 0.4))
    return [Transitions(10, *setting) for setting in settings]


def _blend(chosen: Mapping[str, Ranker]) -> Sequence[Ranker]:
    parts = tuple(FitOnce(chosen[name]) for name in BLENDED)
    return [Blend((1.0, *weights), parts) for weights in product((0.25, 0.5, 1.0, 2.0), (0.0, 0.1, 0.25, 0.5))]


RANKERS: Final[dict[str, Rankers]] = {
    "popularity": lambda _: [Popularity()],
    "recent popularity": lambda _: [RecentPopularity(days) for days in (30.0, 7.0)],
    "ItemKNN": _item_knn,
    "EASE": lambda _: [EASE(l2) for l2 in (100.0, 250.0, 500.0, 1000.0)],
    "implicit ALS": _als,
    "BPR": _bpr,
    "TFRS tutorial": _tfrs_tutorial,
    "transitions": _transitions,
    "blend": _blend,
}


def _bias() -> Sequence[Rater]:
    return [BiasModel(*damping) for damping in product((1.0, 3.0, 10.0), (1.0, 3.0, 10.0))]


def _svd() -> Sequence[Rater]:
    return [SVD(l2=l2) for l2 in (0.1, 0.15, 0.2, 0.3, 0.5)]


def _bayesian_fm() -> Sequence[Rater]:
    from benchmarks.peers.bayesian_fm import BayesianFM

    return [BayesianFM()]


def _bayesian_fm_everything() -> Sequence[Rater]:
    from benchmarks.peers.bayesian_fm import BayesianFM

    return [BayesianFM(everything=True)]


RATERS: Final[dict[str, Callable[[], Sequence[Rater]]]] = {
    "bias": _bias,
    "SVD": _svd,
    "Bayesian FM, ids": _bayesian_fm,
    "Bayesian FM, everything": _bayesian_fm_everything,
}
