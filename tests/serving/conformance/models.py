"""Small SavedModels: half_plus_two, one with a signature for every rule of the interface, and broken ones."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

Tensors = dict[str, tf.Tensor]
VECTOR = tf.TensorSpec([None], tf.float32, name="x")
SHARD = "variables/variables.data-00000-of-00001"
EXAMPLES = tf.TensorSpec([None], tf.string, name="inputs")


class HalfPlusTwo(tf.Module):
    """y = x / 2 + 2."""

    def __init__(self) -> None:
        super().__init__()
        self.two = tf.Variable(2.0)

    @tf.function(input_signature=[VECTOR])
    def predict(self, x: tf.Tensor) -> Tensors:
        return {"y": x / 2 + self.two}


def _x(inputs: tf.Tensor) -> tf.Tensor:
    return tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]


class Signatures(tf.Module):
    """Each method is a signature of its name."""

    @tf.function(input_signature=[VECTOR])
    def serving_default(self, x: tf.Tensor) -> Tensors:
        return {"y": x / 2 + 2}

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.int64, name="a"), tf.TensorSpec([None], tf.float32, name="b")]
    )
    def two_inputs(self, a: tf.Tensor, b: tf.Tensor) -> Tensors:
        return {"a": tf.identity(a), "sum": tf.cast(a, tf.float32) + b}

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name="text"), tf.TensorSpec([None], tf.string, name="raw")]
    )
    def strings(self, text: tf.Tensor, raw: tf.Tensor) -> Tensors:
        return {"text": tf.identity(text), "raw_bytes": tf.identity(raw)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int32, name="int32"),
            tf.TensorSpec([None], tf.uint8, name="uint8"),
            tf.TensorSpec([None], tf.bool, name="bool"),
            tf.TensorSpec([None], tf.float64, name="double"),
        ]
    )
    def types(self, int32: tf.Tensor, uint8: tf.Tensor, bool: tf.Tensor, double: tf.Tensor) -> Tensors:
        given = {"int32": int32, "uint8": uint8, "bool": bool, "double": double}
        return {name: tf.identity(value) for name, value in given.items()}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="m")])
    def matrix(self, m: tf.Tensor) -> Tensors:
        return {"m": 2 * m}

    @tf.function(input_signature=[VECTOR])
    def total(self, x: tf.Tensor) -> Tensors:
        return {"total": tf.reduce_sum(x)}

    @tf.function(input_signature=[VECTOR])
    def uneven(self, x: tf.Tensor) -> Tensors:
        return {"once": tf.identity(x), "twice": tf.concat([x, x], 0)}

    @tf.function(input_signature=[VECTOR])
    def as_complex(self, x: tf.Tensor) -> Tensors:
        return {"c": tf.complex(x, x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float16, name="h")])
    def half_precision(self, h: tf.Tensor) -> Tensors:
        return {"h": tf.identity(h)}

    @tf.function(input_signature=[])
    def no_inputs(self) -> Tensors:
        return {"y": tf.constant([1.0])}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float64, name="seconds")])
    def slow(self, seconds: tf.Tensor) -> Tensors:
        end = tf.timestamp() + seconds
        (turns,) = tf.while_loop(lambda turns: tf.timestamp() < end, lambda turns: (turns + 1,), (tf.constant(0),))
        return {"turns": turns}

    @tf.function(input_signature=[VECTOR])
    def positive(self, x: tf.Tensor) -> Tensors:
        with tf.control_dependencies([tf.debugging.assert_positive(x, "x is not positive")]):
            return {"y": tf.identity(x)}

    @tf.function(input_signature=[EXAMPLES])
    def classify(self, inputs: tf.Tensor) -> Tensors:
        x = _x(inputs)
        return {"classes": tf.where(x > 0, [["plus", "minus"]], [["minus", "plus"]]), "scores": tf.concat([x, -x], 1)}

    @tf.function(input_signature=[EXAMPLES])
    def classify_scores(self, inputs: tf.Tensor) -> Tensors:
        return {"scores": _x(inputs)}

    @tf.function(input_signature=[EXAMPLES])
    def classify_vector(self, inputs: tf.Tensor) -> Tensors:
        return {"scores": _x(inputs)[:, 0]}

    @tf.function(input_signature=[EXAMPLES])
    def classify_double(self, inputs: tf.Tensor) -> Tensors:
        return {"scores": tf.cast(_x(inputs), tf.float64)}

    @tf.function(input_signature=[EXAMPLES])
    def classify_fewer(self, inputs: tf.Tensor) -> Tensors:
        return {"scores": _x(inputs)[:1]}

    @tf.function(input_signature=[EXAMPLES])
    def classify_widths(self, inputs: tf.Tensor) -> Tensors:
        x = _x(inputs)
        return {"classes": tf.as_string(x), "scores": tf.concat([x, x], 1)}

    @tf.function(input_signature=[EXAMPLES])
    def classify_three(self, inputs: tf.Tensor) -> Tensors:
        x = _x(inputs)
        return {"classes": tf.as_string(x), "scores": x, "more": x + 1}

    @tf.function(input_signature=[EXAMPLES])
    def regress(self, inputs: tf.Tensor) -> Tensors:
        return {"outputs": _x(inputs)[:, 0] / 2 + 2}

    @tf.function(input_signature=[EXAMPLES])
    def regress_column(self, inputs: tf.Tensor) -> Tensors:
        return {"outputs": _x(inputs) / 2 + 3}

    @tf.function(input_signature=[EXAMPLES])
    def regress_wide(self, inputs: tf.Tensor) -> Tensors:
        return {"outputs": tf.concat([_x(inputs), _x(inputs)], 1)}

    @tf.function(input_signature=[EXAMPLES])
    def regress_double(self, inputs: tf.Tensor) -> Tensors:
        return {"outputs": tf.cast(_x(inputs), tf.float64)}

    @tf.function(input_signature=[EXAMPLES])
    def regress_fewer(self, inputs: tf.Tensor) -> Tensors:
        return {"outputs": _x(inputs)[:1]}

    @tf.function(input_signature=[EXAMPLES])
    def other_output(self, inputs: tf.Tensor) -> Tensors:
        return {"value": _x(inputs)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def other_input(self, examples: tf.Tensor) -> Tensors:
        return {"scores": _x(examples)}


def signature_names() -> list[str]:
    return [name for name in vars(Signatures) if not name.startswith("_")]


def make(root: Path) -> None:
    """Writes every model's base path under `root`."""
    half = HalfPlusTwo()
    tf.saved_model.save(half, str(root / "half_plus_two" / "1"), {"serving_default": half.predict})
    for version in ("2", "00000003"):
        copy_half(root, f"half_plus_two/{version}")
    signatures = Signatures()
    named = {name: getattr(signatures, name) for name in signature_names()}
    tf.saved_model.save(signatures, str(root / "signatures" / "1"), named)
    (root / "empty" / "1").mkdir(parents=True)
    (root / "no_version" / "notes").mkdir(parents=True)
    broken = root / "broken" / "1"
    broken.mkdir(parents=True)
    (broken / "saved_model.pb").write_bytes(b"\x08\x01 no model")
    _break(root, "cut", "saved_model.pb", lambda data: data[: len(data) // 2])
    _break(root, "wrong", "saved_model.pb", lambda data: b"oo" + data)
    _break(root, "wrong_text", "saved_model.pb", lambda data: None)
    (root / "wrong_text" / "1" / "saved_model.pbtxt").write_text("no model {")
    _break(root, "no_shard", SHARD, lambda data: None)
    _break(root, "cut_shard", SHARD, lambda data: data[:1])
    _break(root, "no_input", "saved_model.pb", _without_input)
    _warm(copy_half(root, "warm/1"), "serving_default")
    _warm(copy_half(root, "cold/1"), "nothing")
    _warm(copy_half(root, "wide/1"), "serving_default", rows=8)
    for version in ("1", "2"):
        shutil.copytree(broken, root / "twice_broken" / version)


def copy_half(root: Path, to: str) -> Path:
    """half_plus_two once more, as the version directory `to`, which appears in one step."""
    path = root / to
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    shutil.copytree(root / "half_plus_two" / "1", part)
    return part.rename(path)


def _break(root: Path, name: str, file: str, change: Callable[[bytes], bytes | None]) -> None:
    """half_plus_two with another content of one file, or without it."""
    path = copy_half(root, f"{name}/1") / file
    data = change(path.read_bytes())
    path.unlink()
    if data is not None:
        path.write_bytes(data)


def _without_input(data: bytes) -> bytes:
    """The model, of whose first node with inputs the first one is not in the graph."""
    model = saved_model_pb2.SavedModel.FromString(data)
    next(node for node in model.meta_graphs[0].graph_def.node if node.input).input[0] = "nowhere"
    return bytes(model.SerializeToString())


def _warm(version: Path, signature: str, rows: int = 1) -> None:
    request: Any = predict_pb2.PredictRequest()
    request.model_spec.name = "whatever"
    request.model_spec.signature_name = signature
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0] * rows))
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    folder = version / "assets.extra"
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        writer.write(log.SerializeToString())
