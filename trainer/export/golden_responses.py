"""Expected answers: what the trained model in memory says to real rows. A server of the export should say the same."""

from collections.abc import Iterator
from typing import Any, Final

import tensorflow as tf

from trainer.export.eval_requests import read_windows
from trainer.export.prediction_log import prediction_log, write_prediction_log
from trainer.export.saved_model import Exported, input_specs
from trainer.export.signatures.sample_inputs import Rows

_WINDOWS: Final = 16


def write_golden_responses(exported: Exported, eval_pattern: str, path: str) -> None:
    """Asks every signature of the model in memory about eval windows and one that knows nothing.

    Args:
        exported: the trained model's own functions and weights.
        eval_pattern: the raw examples of the eval split, gzipped TFRecord files.
        path: the `prediction_log` file to write. It holds users' ids and histories, as the examples do.
    """
    nobody, unknown = tf.train.Example(), b""
    rows = Rows([*read_windows(eval_pattern, _WINDOWS), nobody], [*exported.some_items(), unknown])
    write_prediction_log(path, _asked(exported, rows))


def _asked(exported: Exported, rows: Rows) -> Iterator[Any]:
    for name, function in exported.signatures.items():
        inputs = rows.inputs(name, input_specs(function))
        yield prediction_log(name, inputs, function(**inputs))
