"""The YAML file as typed, validated objects: the only place that knows its keys.

Usage: `config = load_config("configs/movielens-100k.yaml")`.
"""

from pipeline.config.config import Config
from pipeline.config.dump import dump_config
from pipeline.config.load import ConfigError, load_config, parse_config

__all__ = ["Config", "ConfigError", "dump_config", "load_config", "parse_config"]
