import logging

import pytest

from config import ConfigError, parse_config
from config.dump import dump_config

OLD = """
name: shop
data: {folder: data, interactions: {path: a.csv}}
tasks:
  retrieval: {kind: retrieval}
  rating:
    kind: regression
    label: rating
    habits: {agreement: 5, mood: [60], weights: {levels: 1.0, mood_60: 0.5, agreement: 1}}
"""
NEW = OLD.replace("habits", "baseline").replace("agreement", "correlation").replace("levels", "bias")
NEW = NEW.replace("mood", "session_bias")


def test_renamed_keys_are_read_with_a_notice(caplog):
    with caplog.at_level(logging.WARNING):
        config = parse_config(OLD, "shop.yaml")
    told = [record.getMessage() for record in caplog.records]
    first = "`tasks.rating.habits` is now `tasks.rating.baseline`"
    assert told[0] == f"warning: shop.yaml: {first}; change it, and write `version: 1`"
    assert len(told) == 6
    caplog.clear()
    assert config == parse_config(NEW)
    assert parse_config(f"version: 1{NEW}").tasks == config.tasks
    assert parse_config(dump_config(config)) == config
    assert caplog.records == []


def test_a_file_of_this_version_has_this_versions_keys():
    with pytest.raises(ConfigError, match=r"shop.yaml:9: `tasks.rating.habits`"):
        parse_config(f"version: 1{OLD}", "shop.yaml")


def test_a_key_that_is_there_under_both_names_is_an_error():
    with pytest.raises(ConfigError, match=r"`tasks.rating.habits`"):
        parse_config(OLD + "    baseline: {factors: 0}\n")


@pytest.mark.parametrize("version", ["2", "-1", "true", "'1'", "1.5", "[1]"])
def test_another_version_is_refused(version):
    with pytest.raises(ConfigError, match=r"<text>:1: `version`: should be 1 or less"):
        parse_config(f"version: {version}{NEW}")
