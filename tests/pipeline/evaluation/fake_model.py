"""A SavedModel with the exported model's evaluation signatures that reads its answers from the examples."""

from pathlib import Path

import tensorflow as tf

FLOATS = ("target_rank", "popularity_rank", "retrieval_weight", "target_count", "is_cold_user", "catalogue_size")


class FakeModel(tf.Module):
    """Answers with the features `answer_<output>` of the examples; ranks are shifted by `shift`.

    Args:
      tasks: Names of tasks with a number for each example.
      classes: The name of a task with two classes, whose label is in the examples; empty: none.
      top: The length of the lists of best items.
      shift: Added to `target_rank`: a worse model.
    """

    def __init__(self, tasks: tuple[str, ...], classes: str, top: int, shift: float = 0.0):
        super().__init__()
        self._tasks = tasks
        self._classes = (classes,) if classes else ()
        self._top = top
        self._shift = shift

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def evaluate(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        floats = (*FLOATS, *self._tasks)
        spec = {f"answer_{name}": tf.io.FixedLenFeature([], tf.float32) for name in floats}
        lists = ("top_items", "popularity_top_items")
        spec |= {f"answer_{name}": tf.io.FixedLenFeature([self._top], tf.int64) for name in lists}
        spec |= {f"answer_{name}": tf.io.FixedLenFeature([2], tf.float32) for name in self._classes}
        spec["answer_user_key"] = tf.io.FixedLenFeature([], tf.int64)
        answers = tf.io.parse_example(examples, spec)
        outputs = {name: answers[f"answer_{name}"] for name in (*floats, *lists, *self._classes, "user_key")}
        outputs["target_rank"] += self._shift
        return outputs

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def evaluation_labels(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        names = [f"{kind}_{task}" for kind in ("label", "weight") for task in (*self._tasks, *self._classes)]
        spec = {name: tf.io.VarLenFeature(tf.float32) for name in names}
        parsed = {name: tf.sparse.to_dense(values) for name, values in tf.io.parse_example(examples, spec).items()}
        of_classes = {f"label_{task}" for task in self._classes}
        return {f"target_{name}": v if name in of_classes else v[:, -1] for name, v in parsed.items()}


def save_model(path: Path, tasks: tuple[str, ...] = (), classes: str = "", top: int = 2, shift: float = 0.0) -> Path:
    model = FakeModel(tasks, classes, top, shift)
    signatures = {"evaluate": model.evaluate, "serving_default": model.evaluate}
    if tasks:
        signatures["evaluation_labels"] = model.evaluation_labels
    tf.saved_model.save(model, str(path), signatures=signatures)
    return path
