import math
import xml.etree.ElementTree as ElementTree

from pipeline.report import plots
from pipeline.report.plots import Estimate, Pair

PAIR = Pair("ndcg@10", Estimate(0.1408, 0.006), Estimate(0.045, math.nan))
SVG = "{http://www.w3.org/2000/svg}"


def _words(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_bars_name_metrics_splits_and_values() -> None:
    words = _words(plots.bars({"eval": [PAIR], "test": [PAIR._replace(model=Estimate(math.nan, math.nan))]}))
    assert {"eval", "test", "ndcg@10", ".141", ".045", "model", "popularity"} <= set(words)


def test_slices_name_every_slice() -> None:
    words = _words(plots.slices("ndcg@10 on eval", [PAIR._replace(name=name) for name in ("warm (9)", "cold (1)")]))
    assert {"ndcg@10 on eval", "warm (9)", "cold (1)"} <= set(words)


def test_without_a_baseline_there_is_none_in_the_picture() -> None:
    words = _words(plots.slices("like/auc on eval", [PAIR._replace(popularity=Estimate(math.nan, math.nan))]))
    assert "model" in words
    assert "popularity" not in words


def test_curves_name_panels_and_lines() -> None:
    losses = {"retrieval": [(1, 6.0), (2, 5.0)], "rating": [(2, 1.0)]}
    words = _words(plots.curves({"losses": losses, "eval": {"mrr": [(2, 0.1)]}}))
    assert {"losses", "retrieval", "rating", "eval", "mrr", "step"} <= set(words)


def test_the_same_metrics_give_the_same_picture() -> None:
    assert plots.bars({"eval": [PAIR]}) == plots.bars({"eval": [PAIR]})
