"""The arguments of a training: the part of TFX's `FnArgs` that it reads, in a form that other processes can be sent."""

import json
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

from tfx.components.trainer.fn_args_utils import FnArgs

from config import Config, parse_config
from config.load import changed_config


@dataclass(frozen=True)
class RunArguments:
    """The fields of `FnArgs` with the same names."""

    train_files: list[str]
    eval_files: list[str]
    transform_graph_path: str
    serving_model_dir: str
    model_run_dir: str
    hyperparameters: dict[str, Any] | None
    base_model: str | None
    custom_config: dict[str, Any]

    @classmethod
    def of(cls, fn_args: FnArgs) -> "RunArguments":
        """Copies the fields of TFX's arguments."""
        return cls(**{field.name: getattr(fn_args, field.name) for field in fields(cls)})

    @classmethod
    def from_json(cls, text: str) -> "RunArguments":
        """Reads what `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Writes the arguments as JSON."""
        return json.dumps(asdict(self))

    @cached_property
    def config(self) -> Config:
        """The configuration with the Tuner's values. Raises `ConfigError`."""
        config = parse_config(self.custom_config["config"], "custom_config")
        return changed_config(config, self.hyperparameters["values"]) if self.hyperparameters else config
