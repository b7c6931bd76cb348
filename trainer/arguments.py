"""What a training is told: the part of TFX's `FnArgs` that it reads, and that goes from one process to another."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from tfx.components.trainer.fn_args_utils import FnArgs


@dataclass(frozen=True)
class RunArguments:
    """See `FnArgs`, whose fields have the same names."""

    train_files: list[str]
    eval_files: list[str]
    transform_graph_path: str
    serving_model_dir: str
    model_run_dir: str
    hyperparameters: dict[str, Any] | None
    custom_config: dict[str, Any]

    @classmethod
    def of(cls, fn_args: FnArgs) -> "RunArguments":
        """Those of TFX."""
        return cls(**{field.name: getattr(fn_args, field.name) for field in fields(cls)})

    @classmethod
    def from_json(cls, text: str) -> "RunArguments":
        """The arguments that `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """The arguments as text."""
        return json.dumps(asdict(self))
