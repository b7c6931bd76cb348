"""The executor of TFX's Trainer with one more input: the examples before Transform, as clients send them."""

import json
import posixpath
from typing import Any, Final

from tfx.components.trainer import executor
from tfx.types import artifact_utils, standard_component_specs

RAW_EXAMPLES: Final = "raw_examples"
RAW_EVAL_FILES: Final = "raw_eval_files"
"""The key of `custom_config` with the pattern of the eval split's files before Transform."""


class Executor(executor.GenericExecutor):
    """Passes the location of the raw eval examples to `run_fn` in `custom_config`: `FnArgs` has no field for it."""

    def Do(  # noqa: N802 (TFX's name)
        self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]
    ) -> None:
        """Runs `run_fn` as TFX's executor does."""
        raw = artifact_utils.get_single_instance(input_dict[RAW_EXAMPLES])
        pattern = posixpath.join(artifact_utils.get_split_uri([raw], "eval"), "*")
        key = standard_component_specs.CUSTOM_CONFIG_KEY
        custom_config = json.loads(exec_properties[key]) | {RAW_EVAL_FILES: pattern}
        super().Do(input_dict, output_dict, exec_properties | {key: json.dumps(custom_config)})
