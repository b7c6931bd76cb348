"""Strings in a tensor's `tensor_content`, as TensorFlow's tensor_coding.cc puts them there."""

from collections.abc import Sequence


def varint(value: int) -> bytes:
    """A number in groups of seven bits, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def joined(strings: Sequence[bytes]) -> bytes:
    """The sizes as varints, then the strings."""
    return b"".join([*(varint(len(string)) for string in strings), *strings])


def split(content: bytes, count: int) -> list[bytes]:
    """The `count` strings of `joined`. Raises `ValueError` where the content holds others."""
    sizes, at = list[int](), 0
    for _ in range(count):
        size, at = _read(content, at)
        sizes.append(size)
    if sum(sizes) != len(content) - at:
        raise ValueError(f"the strings should have {sum(sizes)} bytes. Found: {len(content) - at}")
    strings = list[bytes]()
    for size in sizes:
        strings.append(content[at : at + size])
        at += size
    return strings


def _read(content: bytes, at: int) -> tuple[int, int]:
    """The 32-bit varint at `at`, and where it ends."""
    value = 0
    for shift in range(0, 35, 7):
        if at >= len(content):
            break
        byte, at = content[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(f"a size should end within 5 bytes and before byte {at} of the content")
