"""The YAML file as typed, validated objects: the only place that knows its keys.

Usage: `config = load_config("examples/movielens-100k.yaml")`.
"""

from config.dump import dump_config
from config.load import ConfigError, load_config, parse_config
from config.schema import Config

__all__ = ["Config", "ConfigError", "dump_config", "load_config", "parse_config"]
