"""Where protobuf's parser gives up on a message: TensorFlow has one error for a file that ends too soon and another for
one that is wrong."""

from typing import Final

_AHEAD: Final = 16
"""So many bytes from the end, the parser asks for more before it looks at a field."""
_LARGEST: Final = (1 << 31) - 1 - _AHEAD
_SIZES: Final = {1: 8, 3: 0, 5: 4}
"""Bytes of a field by its wire type; what is in a group are fields that follow."""


def reads_past_the_end(data: bytes) -> bool:
    """Whether parsing `data`, which cannot be parsed, stops for want of bytes rather than at a field that is wrong.

    Only the outermost fields are looked at: what is wrong in one that is whole is taken to lie before the end.
    """
    at = 0
    while at < len(data):
        start, is_near_the_end = at, at >= len(data) - _AHEAD
        try:
            at = _skip(data, start)
        except ValueError:
            return is_near_the_end
        if at == start:
            return False
    return at > len(data)


def _skip(data: bytes, start: int) -> int:
    """Where the field at `start` ends: beyond the data when it is cut, at `start` when it ends the message.

    Raises `ValueError` when there is no such field.
    """
    tag, at = _varint(data, start)
    number, kind = divmod(tag, 8)
    if at > len(data):
        return at
    if tag == 0 or kind == 4:
        return start
    if number == 0 or kind > 5:
        raise ValueError(f"a tag should have a field's number and a wire type up to 5. Found: {tag}")
    if kind in _SIZES:
        return at + _SIZES[kind]
    value, at = _varint(data, at)
    if kind == 0 or at > len(data):
        return at
    if value > _LARGEST:
        raise ValueError(f"a field should have up to {_LARGEST} bytes. Found: {value}")
    return at + value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at` and where it ends, beyond the data when it is cut. Raises `ValueError` for a longer one."""
    value = 0
    for place in range(10):
        if at + place >= len(data):
            return value, len(data) + 1
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("a number should have up to 10 bytes")
