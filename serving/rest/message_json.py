"""Messages as JSON, as protobuf's C++ library prints them."""

import json
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message


def message_json(message: Message) -> str:
    """The message in JSON with all its defaults; for browsers, `<` and `>` are escaped."""
    members = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    text = json.dumps(_ordered(members, message.DESCRIPTOR), indent=1, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e") + "\n"


def _ordered(value: Any, kind: Descriptor | None) -> Any:
    """The JSON of a `kind`, of many or of none, with the members by field number: Python's library puts defaults last.

    A map is in any order in C++; here it is in that of its keys.
    """
    if kind is None or kind.file.package == "google.protobuf":  # such as Int64Value, which is printed as its value
        return value
    if isinstance(value, list):
        return [_ordered(element, kind) for element in value]
    if kind.GetOptions().map_entry:
        content = kind.fields_by_name["value"].message_type
        return {key: _ordered(value[key], content) for key in sorted(value)}
    fields = sorted(kind.fields, key=lambda field: field.number)
    return {field.name: _ordered(value[field.name], field.message_type) for field in fields if field.name in value}
