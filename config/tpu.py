"""The address of the TPU of `training.strategy: tpu`."""

from collections.abc import Mapping
from typing import Final

from config.load import ConfigError
from config.training import TrainingConfig

VARIABLE: Final = "TPU_NAME"


def tpu_address(config: TrainingConfig, environment: Mapping[str, str]) -> str:
    """Returns the address of the TPU: `training.tpu`, or else the environment variable `TPU_NAME`.

    Raises:
        ConfigError: Neither names one.
    """
    address = config.tpu or environment.get(VARIABLE)
    if not address:
        raise ConfigError(
            "`training.tpu` should be the TPU's name, its address (grpc://host:port), or `local` on the TPU's own"
            f" machine, where `training.strategy` is `tpu` and the variable {VARIABLE} is not set. Received: nothing"
        )
    return address
