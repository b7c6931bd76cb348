import math

import pytest

from config import ConfigError, parse_config, paths
from pipeline.cli.crossval import Summary, as_json, fold_configs, summarise, table

SHOP = """
name: shop
data: {folder: shop, interactions: {path: events.csv}}
split: {method: global_time, eval_share: 0.2}
serving: {folder: models, default_k: 7}
"""


def test_a_fold_is_an_ordinary_configuration_with_a_folder_of_its_own():
    config = parse_config(SHOP)
    folds = list(fold_configs(config, 3))
    assert [(f.split.fold.number, f.split.fold.of, f.split.eval_share) for f in folds] == [
        (number, 3, 0.2) for number in (1, 2, 3)
    ]
    assert [paths.home(f) for f in folds] == [f"{paths.home(config)}/crossval-3/fold-{n}" for n in (1, 2, 3)]
    assert all(paths.serving(f).startswith(paths.home(f)) for f in folds)
    assert folds[0].serving.default_k == 7


def test_folds_that_leave_nothing_to_train_are_refused():
    with pytest.raises(ConfigError, match=r"2 folds do not go with `split`.*below 0\.5"):
        list(fold_configs(parse_config(SHOP.replace("0.2", "0.5")), 2))


def test_mean_and_deviation_by_hand():
    folds = [{"ndcg@10": 0.1, "stderr_ndcg@10": 0.01}, {"ndcg@10": 0.2, "like/auc": 0.5}, {"ndcg@10": 0.6}]
    found = summarise([*folds, {"ndcg@10": math.nan}])
    assert set(found) == {"ndcg@10", "like/auc"}
    assert found["ndcg@10"].values == pytest.approx((0.1, 0.2, 0.6, math.nan), nan_ok=True)
    assert found["like/auc"].measured == [0.5]
    assert found["ndcg@10"].mean == pytest.approx(0.3)
    assert found["ndcg@10"].deviation == pytest.approx(math.sqrt((0.04 + 0.01 + 0.09) / 2))
    assert math.isnan(found["like/auc"].deviation)


def test_the_summary_as_json_and_table():
    summaries = {"test": {"ndcg@10": Summary((0.1, 0.3)), "like/auc": Summary((math.nan, 0.5))}}
    found = as_json(summaries)["test"]
    assert found["ndcg@10"] == {"mean": pytest.approx(0.2), "deviation": pytest.approx(0.02**0.5), "values": [0.1, 0.3]}
    assert found["like/auc"] == {"mean": 0.5, "deviation": None, "values": [None, 0.5]}
    assert [column.header for column in table("test", summaries["test"]).columns] == [
        *("metric", "mean", "deviation", "fold 1", "fold 2")
    ]
