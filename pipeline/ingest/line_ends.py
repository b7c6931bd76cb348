"""Texts with a line end: no vocabulary can hold them, since TensorFlow reads its files line by line."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def holds_line_end(values: pa.Array) -> np.ndarray:
    """Which texts, or lists of texts, hold a line feed or a carriage return: bool [n]; not where missing."""
    if not pa.types.is_list(values.type):
        return _in_texts(values)
    found = _in_texts(pc.list_flatten(values))
    rows = pc.list_parent_indices(values).to_numpy()[found]
    return np.bincount(rows, minlength=len(values)) > 0


def _in_texts(texts: pa.Array) -> np.ndarray:
    data = texts.buffers()[-1] if len(texts) else None
    if data is None or not _has_line_end(np.frombuffer(data, np.uint8)):
        return np.zeros(len(texts), bool)
    found = pc.match_substring_regex(texts, "[\n\r]")
    return np.asarray(pc.fill_null(found, False).to_numpy(zero_copy_only=False), bool)


def _has_line_end(characters: np.ndarray) -> bool:
    """In the bytes of UTF-8, where no other character has these two."""
    return bool((characters == ord("\n")).any() or (characters == ord("\r")).any())
