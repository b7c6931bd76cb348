"""The input of Classify, Regress and MultiInference: tf.Examples, fed to a signature's one input `inputs`."""

from typing import Final

import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import input_pb2

from serving.errors import invalid_argument
from serving.tensors import to_dtype

INPUTS: Final = "inputs"


def serialized(data: input_pb2.Input) -> np.ndarray:
    """The examples as they are serialized; a shared context goes before each, as concatenated messages merge.

    Raises `ServingError` (INVALID_ARGUMENT) when there are none.
    """
    listed = data.example_list.examples or data.example_list_with_context.examples
    if not listed:
        raise invalid_argument("Input is empty.")
    context = data.example_list_with_context.context.SerializeToString()
    return np.array([context + example.SerializeToString() for example in listed], object)


def input_name(signature: meta_graph_pb2.SignatureDef, kind: str) -> str:
    """The graph's name of the input that takes the examples. Raises `ServingError` (INVALID_ARGUMENT)."""
    if INPUTS not in signature.inputs:
        raise invalid_argument(f"No {kind} inputs found in SignatureDef: {signature}")
    return str(signature.inputs[INPUTS].name)


def shape_text(array: np.ndarray) -> str:
    """A shape as TensorFlow's C++ messages print it: `[2,3]`."""
    return f"[{','.join(map(str, array.shape))}]"


def type_text(array: np.ndarray) -> str:
    """A dtype by its name in the protos: `DT_FLOAT`."""
    return types_pb2.DataType.Name(to_dtype(array).as_datatype_enum)
