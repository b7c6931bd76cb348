import pytest
import yaml

from config import ConfigError, dump_config, parse_config
from config.features import Categorical, Cross, Feature, MultiValued, Numeric, Text, Time
from tests.synthetic import default_config


def with_features(section: str, *names: str) -> str:
    config = default_config("data")
    config["features"] = {section: [{"name": name, "kind": "numeric"} for name in names]}
    return yaml.safe_dump(config)


@pytest.mark.parametrize(("section", "name"), [("user", "id"), ("item", "id"), ("item", "id_frequency")])
def test_a_feature_named_like_an_id_is_an_error(section: str, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"`{section}` should not name a feature twice, nor after an id.*'{name}'"):
        parse_config(with_features(section, name))


@pytest.mark.parametrize("section", ["user", "item", "context", "outcome"])
def test_a_feature_named_twice_is_an_error(section: str) -> None:
    with pytest.raises(ConfigError, match=r"twice.*'age'"):
        parse_config(with_features(section, "age", "year", "age"))


def test_sections_may_share_names() -> None:
    config = parse_config(with_features("context", "id", "device"))
    assert [feature.name for feature in config.features.context] == ["id", "device"]


LEAST = "name: shop\ndata: {folder: data, interactions: {path: events.csv}}\n"


@pytest.mark.parametrize(
    ("text", "days"),
    [
        (LEAST, (1, 7, 30)),
        (LEAST + "features: {trend: {days: [2]}}\n", (2,)),
        (LEAST + "features: {trend: {days: []}}\n", None),
        (LEAST.replace("events.csv", "events.csv, time: null") + "split: {method: random}\n", None),
        (LEAST + "tasks: {like: {kind: binary, label: rating > 3}}\n", None),
    ],
    ids=["by default", "other windows", "off", "without times", "without retrieval"],
)
def test_the_trend_is_on_where_it_can_be(text: str, days: tuple[float, ...] | None) -> None:
    config = parse_config(text)
    assert (config.trend and config.trend.days) == days
    assert parse_config(dump_config(config)).trend == config.trend


@pytest.mark.parametrize(
    ("feature", "form", "count", "filterable", "sliceable"),
    [
        (Categorical(name="a", kind="categorical", oov_buckets=2), "category", 10 + 2 + 1, True, True),
        (MultiValued(name="a", kind="multi_valued"), "categories", 10 + 1 + 1, True, True),
        (Text(name="a", kind="text"), "categories", 10 + 1 + 1, False, False),
        (Numeric(name="a", kind="numeric"), "number", None, True, False),
        (Numeric(name="a", kind="numeric", scale="quantile", buckets=4), "category", 4 + 1, True, False),
        (Time(name="a", kind="time", part="weekday"), "category", 7 + 1, True, False),
        (Cross(name="a", kind="cross", of=("b", "c"), buckets=5), "category", 5 + 1, False, False),
    ],
    ids=lambda value: value.kind if isinstance(value, Feature) else "",
)
def test_what_a_kind_of_feature_means(
    feature: Feature, form: str, count: int | None, filterable: bool, sliceable: bool
) -> None:
    assert (feature.form, feature.category_count(10)) == (form, count)
    assert (feature.is_filterable, feature.is_sliceable) == (filterable, sliceable)
    assert feature.is_ordered == (feature.value_kind in ("number", "time"))
    assert feature.columns == (("b", "c") if feature.is_combination else ("a",))
