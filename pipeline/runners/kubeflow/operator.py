"""What kfp-operator imports: a function without arguments that returns components, which it compiles itself."""

import os
from typing import Final

from tfx.dsl.components.base.base_node import BaseNode

from config import ConfigError
from pipeline import dag
from pipeline.checks.configuration import checked_config

VARIABLE: Final = "RECOMMENDER_CONFIG"
"""The environment variable with the configuration's path; kfp-operator sets those of the resource's `env`."""


def create_components() -> list[BaseNode]:
    """Returns the components of the configuration that `VARIABLE` names, with the resolvers that TFX compiles.

    Raises:
      ConfigError: The variable is missing, or the configuration is wrong.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        raise ConfigError(f"the environment variable `{VARIABLE}` should be the path of a configuration. It is not set")
    return dag.create_components(checked_config(path, with_data=False), dag.VERTEX)
