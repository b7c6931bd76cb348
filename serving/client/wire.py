"""The client's own subset of TensorFlow Serving's messages, with the names, numbers and types that the wire needs.

tensorflow-serving-api's modules import TensorFlow; these need protobuf alone. They live in a pool of their own, so both
may be loaded in one process. Enums are int32 (the same bytes), fields that are not listed are kept but not named.
"""

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto

_SCALARS: Final = {
    name: getattr(_Field, f"TYPE_{name.upper()}")
    for name in ("string", "bytes", "bool", "int32", "int64", "uint32", "uint64", "float", "double")
}

DT_STRING: Final = 7
"""TensorFlow's number of the dtype."""

_SERVING: Final = "tensorflow.serving"

# Message -> field -> (number, type); `[t]` is repeated, `{t}` a map from strings to t.
SCHEMA: Final[dict[str, dict[str, tuple[int, str]]]] = {
    "google.protobuf.Any": {"type_url": (1, "string"), "value": (2, "bytes")},
    "google.protobuf.Int64Value": {"value": (1, "int64")},
    "tensorflow.BytesList": {"value": (1, "[bytes]")},
    "tensorflow.FloatList": {"value": (1, "[float]")},
    "tensorflow.Int64List": {"value": (1, "[int64]")},
    "tensorflow.Feature": {
        "bytes_list": (1, "tensorflow.BytesList"),
        "float_list": (2, "tensorflow.FloatList"),
        "int64_list": (3, "tensorflow.Int64List"),
    },
    "tensorflow.Features": {"feature": (1, "{tensorflow.Feature}")},
    "tensorflow.Example": {"features": (1, "tensorflow.Features")},
    "tensorflow.TensorShapeProto.Dim": {"size": (1, "int64"), "name": (2, "string")},
    "tensorflow.TensorShapeProto": {
        "dim": (2, "[tensorflow.TensorShapeProto.Dim]"),
        "unknown_rank": (3, "bool"),
    },
    "tensorflow.TensorProto": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "tensorflow.TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "[float]"),
        "double_val": (6, "[double]"),
        "int_val": (7, "[int32]"),
        "string_val": (8, "[bytes]"),
        "int64_val": (10, "[int64]"),
        "bool_val": (11, "[bool]"),
    },
    "tensorflow.TensorInfo": {
        "name": (1, "string"),
        "dtype": (2, "int32"),
        "tensor_shape": (3, "tensorflow.TensorShapeProto"),
    },
    "tensorflow.SignatureDef": {
        "inputs": (1, "{tensorflow.TensorInfo}"),
        "outputs": (2, "{tensorflow.TensorInfo}"),
        "method_name": (3, "string"),
    },
    f"{_SERVING}.ModelSpec": {
        "name": (1, "string"),
        "version": (2, "google.protobuf.Int64Value"),
        "signature_name": (3, "string"),
        "version_label": (4, "string"),
    },
    f"{_SERVING}.PredictRequest": {
        "model_spec": (1, f"{_SERVING}.ModelSpec"),
        "inputs": (2, "{tensorflow.TensorProto}"),
        "output_filter": (3, "[string]"),
    },
    f"{_SERVING}.PredictResponse": {
        "outputs": (1, "{tensorflow.TensorProto}"),
        "model_spec": (2, f"{_SERVING}.ModelSpec"),
    },
    f"{_SERVING}.SignatureDefMap": {"signature_def": (1, "{tensorflow.SignatureDef}")},
    f"{_SERVING}.GetModelMetadataRequest": {
        "model_spec": (1, f"{_SERVING}.ModelSpec"),
        "metadata_field": (2, "[string]"),
    },
    f"{_SERVING}.GetModelMetadataResponse": {
        "model_spec": (1, f"{_SERVING}.ModelSpec"),
        "metadata": (2, "{google.protobuf.Any}"),
    },
    f"{_SERVING}.StatusProto": {"error_code": (1, "int32"), "error_message": (2, "string")},
    f"{_SERVING}.ModelVersionStatus": {
        "version": (1, "int64"),
        "state": (2, "int32"),
        "status": (3, f"{_SERVING}.StatusProto"),
    },
    f"{_SERVING}.GetModelStatusRequest": {"model_spec": (1, f"{_SERVING}.ModelSpec")},
    f"{_SERVING}.GetModelStatusResponse": {"model_version_status": (1, f"[{_SERVING}.ModelVersionStatus]")},
}


def message_classes(schema: dict[str, dict[str, tuple[int, str]]]) -> dict[str, Any]:
    """The schema's messages as classes, by full name, in a pool of their own."""
    pool = descriptor_pool.DescriptorPool()
    for full_name, fields in schema.items():
        pool.Add(_file(full_name, fields))
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in schema}


def _file(full_name: str, fields: dict[str, tuple[int, str]]) -> descriptor_pb2.FileDescriptorProto:
    """One file for one message; it depends on the files of the messages it names."""
    package, _, name = full_name.rpartition(".")
    file = descriptor_pb2.FileDescriptorProto(name=f"{full_name}.proto", package=package, syntax="proto3")
    message = file.message_type.add(name=name)
    for field, (number, kind) in fields.items():
        _add_field(message, full_name, field, number, kind)
    named = {kind.strip("[]{}") for _, kind in fields.values()} - set(_SCALARS)
    file.dependency.extend(f"{other}.proto" for other in sorted(named))
    return file


def _add_field(message: descriptor_pb2.DescriptorProto, full_name: str, field: str, number: int, kind: str) -> None:
    repeated = kind[0] in "[{"
    element = kind.strip("[]{}")
    if kind[0] == "{":
        entry = message.nested_type.add(name=f"{field.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, full_name, "key", 1, "string")
        _add_field(entry, full_name, "value", 2, element)
        element = f"{full_name}.{entry.name}"
    message.field.add(
        name=field,
        number=number,
        label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL,
        type=_SCALARS.get(element, _Field.TYPE_MESSAGE),
        type_name=None if element in _SCALARS else f".{element}",
    )


_CLASSES: Final = message_classes(SCHEMA)

Example: Any = _CLASSES["tensorflow.Example"]
TensorProto: Any = _CLASSES["tensorflow.TensorProto"]
PredictRequest: Any = _CLASSES[f"{_SERVING}.PredictRequest"]
PredictResponse: Any = _CLASSES[f"{_SERVING}.PredictResponse"]
SignatureDefMap: Any = _CLASSES[f"{_SERVING}.SignatureDefMap"]
GetModelMetadataRequest: Any = _CLASSES[f"{_SERVING}.GetModelMetadataRequest"]
GetModelMetadataResponse: Any = _CLASSES[f"{_SERVING}.GetModelMetadataResponse"]
GetModelStatusRequest: Any = _CLASSES[f"{_SERVING}.GetModelStatusRequest"]
GetModelStatusResponse: Any = _CLASSES[f"{_SERVING}.GetModelStatusResponse"]
