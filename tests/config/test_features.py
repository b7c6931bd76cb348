import pytest
import yaml

from config import ConfigError, dump_config, parse_config
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
