"""The client's own subset of TensorFlow Serving's messages, with the names, numbers and types that the wire needs.

tensorflow-serving-api's modules import TensorFlow; these need protobuf alone. They live in a descriptor pool of their
own, so both may be loaded in one process. Enums are int32, which has the same bytes; fields that are not listed are
kept but have no name.
"""

import re
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto

DT_STRING: Final = 7
"""TensorFlow's number of the dtype."""

_SCHEMA: Final = """
message google.protobuf.Any { string type_url = 1; bytes value = 2; }
message google.protobuf.Int64Value { int64 value = 1; }
message tensorflow.BytesList { repeated bytes value = 1; }
message tensorflow.FloatList { repeated float value = 1; }
message tensorflow.Int64List { repeated int64 value = 1; }
message tensorflow.Feature {
  tensorflow.BytesList bytes_list = 1; tensorflow.FloatList float_list = 2; tensorflow.Int64List int64_list = 3;
}
message tensorflow.Features { map<string, tensorflow.Feature> feature = 1; }
message tensorflow.Example { tensorflow.Features features = 1; }
message tensorflow.TensorShapeProto.Dim { int64 size = 1; string name = 2; }
message tensorflow.TensorShapeProto { repeated tensorflow.TensorShapeProto.Dim dim = 2; bool unknown_rank = 3; }
message tensorflow.TensorProto {
  int32 dtype = 1; tensorflow.TensorShapeProto tensor_shape = 2; bytes tensor_content = 4;
  repeated float float_val = 5; repeated double double_val = 6; repeated int32 int_val = 7;
  repeated bytes string_val = 8; repeated int64 int64_val = 10; repeated bool bool_val = 11;
}
message tensorflow.TensorInfo { string name = 1; int32 dtype = 2; tensorflow.TensorShapeProto tensor_shape = 3; }
message tensorflow.SignatureDef {
  map<string, tensorflow.TensorInfo> inputs = 1; map<string, tensorflow.TensorInfo> outputs = 2;
  string method_name = 3;
}
message tensorflow.serving.ModelSpec {
  string name = 1; google.protobuf.Int64Value version = 2; string signature_name = 3; string version_label = 4;
}
message tensorflow.serving.PredictRequest {
  tensorflow.serving.ModelSpec model_spec = 1; map<string, tensorflow.TensorProto> inputs = 2;
  repeated string output_filter = 3;
}
message tensorflow.serving.PredictResponse {
  map<string, tensorflow.TensorProto> outputs = 1; tensorflow.serving.ModelSpec model_spec = 2;
}
message tensorflow.serving.SignatureDefMap { map<string, tensorflow.SignatureDef> signature_def = 1; }
message tensorflow.serving.GetModelMetadataRequest {
  tensorflow.serving.ModelSpec model_spec = 1; repeated string metadata_field = 2;
}
message tensorflow.serving.GetModelMetadataResponse {
  tensorflow.serving.ModelSpec model_spec = 1; map<string, google.protobuf.Any> metadata = 2;
}
message tensorflow.serving.StatusProto { int32 error_code = 1; string error_message = 2; }
message tensorflow.serving.ModelVersionStatus {
  int64 version = 1; int32 state = 2; tensorflow.serving.StatusProto status = 3;
}
message tensorflow.serving.GetModelStatusRequest { tensorflow.serving.ModelSpec model_spec = 1; }
message tensorflow.serving.GetModelStatusResponse {
  repeated tensorflow.serving.ModelVersionStatus model_version_status = 1;
}
"""
_MESSAGE: Final = re.compile(r"message (\S+) \{(.*?)\}", re.DOTALL)
_FIELD: Final = re.compile(r"(repeated )?(map<string, )?([\w.]+)>? (\w+) = (\d+);")


def message_classes(schema: str) -> dict[str, Any]:
    """Returns messages as classes, by full name, in a descriptor pool of their own.

    Args:
      schema: Messages by full name in the syntax of .proto files, each after those that it names.
    """
    pool = descriptor_pool.DescriptorPool()
    names: list[str] = []
    for full_name, body in _MESSAGE.findall(schema):
        package, _, name = full_name.rpartition(".")
        file = descriptor_pb2.FileDescriptorProto(name=full_name, package=package, syntax="proto3", dependency=names)
        message = file.message_type.add(name=name)
        for repeated, of_map, kind, field, number in _FIELD.findall(body):
            if of_map:
                entry = message.nested_type.add(name=f"{field.title().replace('_', '')}Entry")
                entry.options.map_entry = True
                _add_field(entry, "key", 1, "string")
                _add_field(entry, "value", 2, kind)
                kind = f"{full_name}.{entry.name}"
            _add_field(message, field, int(number), kind, is_repeated=bool(repeated or of_map))
        pool.Add(file)
        names.append(full_name)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names}


def _add_field(
    message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str, is_repeated: bool = False
) -> None:
    is_message = "." in kind
    message.field.add(
        name=name,
        number=number,
        label=_Field.LABEL_REPEATED if is_repeated else _Field.LABEL_OPTIONAL,
        type=_Field.TYPE_MESSAGE if is_message else _Field.Type.Value(f"TYPE_{kind.upper()}"),
        type_name=f".{kind}" if is_message else None,
    )


CLASSES: Final = message_classes(_SCHEMA)
"""The messages by full name."""

Example: Any = CLASSES["tensorflow.Example"]
TensorProto: Any = CLASSES["tensorflow.TensorProto"]
PredictRequest: Any = CLASSES["tensorflow.serving.PredictRequest"]
PredictResponse: Any = CLASSES["tensorflow.serving.PredictResponse"]
SignatureDefMap: Any = CLASSES["tensorflow.serving.SignatureDefMap"]
GetModelMetadataRequest: Any = CLASSES["tensorflow.serving.GetModelMetadataRequest"]
GetModelMetadataResponse: Any = CLASSES["tensorflow.serving.GetModelMetadataResponse"]
GetModelStatusRequest: Any = CLASSES["tensorflow.serving.GetModelStatusRequest"]
GetModelStatusResponse: Any = CLASSES["tensorflow.serving.GetModelStatusResponse"]
