"""The client's messages against tensorflow-serving-api's and TensorFlow's, byte by byte."""

from importlib import import_module
from typing import Any

import pytest
import tensorflow as tf
from google.protobuf import any_pb2, wrappers_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2, predict_pb2

from serving.client import wire

OFFICIAL = {
    "google.protobuf": (any_pb2, wrappers_pb2),
    "tensorflow": (
        import_module("tensorflow.core.example.example_pb2"),
        import_module("tensorflow.core.example.feature_pb2"),
        import_module("tensorflow.core.framework.tensor_pb2"),
        import_module("tensorflow.core.framework.tensor_shape_pb2"),
        meta_graph_pb2,
    ),
    "tensorflow.serving": (
        predict_pb2,
        model_pb2,
        get_model_metadata_pb2,
        get_model_status_pb2,
        import_module("tensorflow_serving.apis.status_pb2"),
    ),
}


def _official(full_name: str) -> Any:
    parts = full_name.split(".")
    for split in range(len(parts) - 1, 0, -1):
        for module in OFFICIAL.get(".".join(parts[:split]), ()):
            found: Any = module
            for name in parts[split:]:
                found = getattr(found, name, None)
            if found is not None:
                return found.DESCRIPTOR
    raise AssertionError(f"no official message {full_name}")


@pytest.mark.parametrize("full_name", wire.CLASSES)
def test_every_field_has_the_official_number_and_type(full_name: str) -> None:
    official = _official(full_name).fields_by_name
    for field in wire.CLASSES[full_name].DESCRIPTOR.fields:
        other = official[field.name]
        kinds = {field.type, other.type}
        assert field.number == other.number
        assert field.is_repeated == other.is_repeated
        assert len(kinds) == 1 or kinds == {field.TYPE_INT32, field.TYPE_ENUM}
        if field.message_type and not field.message_type.GetOptions().map_entry:
            assert field.message_type.full_name == other.message_type.full_name


def test_bytes_are_the_same() -> None:
    for request in (predict_pb2.PredictRequest(), wire.PredictRequest()):
        request.model_spec.name = "m"
        request.model_spec.version.value = 3
        request.model_spec.signature_name = "recommend"
        request.output_filter.append("score")
        tensor = request.inputs["examples"]
        tensor.dtype = 7
        tensor.tensor_shape.dim.add(size=1)
        tensor.string_val.append(b"x")
        if isinstance(request, predict_pb2.PredictRequest):
            expected = request.SerializeToString(deterministic=True)
    assert request.SerializeToString(deterministic=True) == expected


def test_a_field_that_is_not_listed_survives() -> None:
    tensor = tf.make_tensor_proto([1 + 2j])
    assert wire.TensorProto.FromString(tensor.SerializeToString()).SerializeToString() == tensor.SerializeToString()
