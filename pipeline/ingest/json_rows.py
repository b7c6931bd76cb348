"""The values of a file of JSON: one a line, or of one array, or indented over several lines."""

import itertools
import json
from collections.abc import Iterator
from json.scanner import make_scanner
from typing import Any, BinaryIO, Final

from config.data import Table
from pipeline.ingest.encodings import as_utf8

_DECODER: Final = json.JSONDecoder()
_SCAN: Final = make_scanner(_DECODER)  # type: ignore[arg-type]
_BETWEEN: Final = " \t\r\n,\ufeff"
_PART: Final = 1 << 20
_HEAD: Final = 1 << 16
"""Bytes of a value that spans lines in which it should end to be found as one."""


class JsonError(ValueError):
    """A file is no JSON from some line on, so that what follows cannot be told apart. The message names the line."""


JsonValue = tuple[Any, int, str]
"""A value as Python has it, None where it is no JSON; the line of its beginning, counted from 1; and its text, of one
over several lines the beginning. A plain tuple: there is one for each row."""


def json_values(file: BinaryIO, table: Table) -> Iterator[JsonValue]:
    """The values of the file in their order.

    Where the first line that is not blank is one value, every line is. Else the file holds one array of values, or
    values one after the other, each over as many lines as it likes.

    Raises:
      UnicodeError: If the bytes are not of the table's encoding.
      JsonError: While it is read, where a value over several lines is broken.
    """
    lines = enumerate(as_utf8(file, table), start=1)
    head = list(itertools.islice(((n, line) for n, line in lines if not line.isspace()), 1))
    if not head:
        return iter(())
    first, begun = head[0], head[0][1].decode()
    rest = ((number, line.decode()) for number, line in lines)
    if begun.lstrip(_BETWEEN).startswith("["):
        return _spread(first[0], itertools.chain([begun], (line for _, line in rest)))
    if begun.lstrip(_BETWEEN).startswith("{") and _parsed(begun) is None:
        size, follow = len(begun), [begun]
        while size < _HEAD and (line := next(rest, None)) is not None:
            follow.append(line[1])
            size += len(line[1])
        if _is_one_value("".join(follow)):
            return _spread(first[0], itertools.chain(follow, (line for _, line in rest)))
        numbered = zip(itertools.count(first[0]), follow)
        return _one_a_line(itertools.chain(numbered, rest))
    return _one_a_line(itertools.chain([(first[0], begun)], rest))


def _one_a_line(lines: Iterator[tuple[int, str]]) -> Iterator[JsonValue]:
    return ((_parsed(line), number, line) for number, line in lines if not line.isspace())


def _parsed(text: str) -> Any:
    """The value; None where it is no JSON."""
    try:
        value, end = _SCAN(text, 0)  # what `json.loads` calls, in half its time
    except (StopIteration, ValueError):
        end = 0
    if end == len(text) or (end and text[end:].isspace()):
        return value
    try:
        return json.loads(text.lstrip("\ufeff"))  # where files with a mark were put together
    except ValueError:
        return None


def _is_one_value(text: str) -> bool:
    try:
        _DECODER.raw_decode(text.lstrip(_BETWEEN))
    except ValueError:
        return False
    return True


def _spread(line: int, lines: Iterator[str]) -> Iterator[JsonValue]:
    """The values of a text, and of the arrays in it, wherever its lines end."""
    text, position = "", 0
    while True:
        position, line = _next(text, position, line)
        if position < len(text):
            if text[position] in "[]":  # around the values, not a value
                position += 1
                continue
            try:
                value, end = _DECODER.raw_decode(text, position)
            except json.JSONDecodeError as error:
                if len(text) - error.pos > 2 * _PART:  # more text would not help
                    raise _broken(text, position, line, error) from error
            else:
                if end < len(text) or not isinstance(value, int | float):  # 12 may go on as 123
                    yield value, line, text[position : min(end, position + 200)]
                    line, position = line + text.count("\n", position, end), end
                    continue
        more = "".join(_of_size(lines))
        if not more:
            break
        text, position = text[position:] + more, 0
    if position < len(text):
        yield _last(text, position, line)


def _last(text: str, position: int, line: int) -> JsonValue:
    """What ends with the file. Raises `JsonError`."""
    try:
        return _DECODER.raw_decode(text, position)[0], line, text[position : position + 200]
    except json.JSONDecodeError as error:
        raise _broken(text, position, line, error) from error


def _broken(text: str, position: int, line: int, error: json.JSONDecodeError) -> JsonError:
    line += text.count("\n", position, error.pos)
    return JsonError(f"line {line}: is no JSON ({error.msg}), and rows after it cannot be told apart")


def _next(text: str, position: int, line: int) -> tuple[int, int]:
    """The position of the next value, and its line."""
    while position < len(text) and text[position] in _BETWEEN:
        line += text[position] == "\n"
        position += 1
    return position, line


def _of_size(lines: Iterator[str]) -> Iterator[str]:
    size = 0
    while size < _PART and (line := next(lines, None)) is not None:
        size += len(line)
        yield line
