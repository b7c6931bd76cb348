"""The Beam side of vocabularies: tokens are counted, filtered, ordered and written."""

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pandas as pd
import tensorflow as tf
from tensorflow_transform.beam import experimental

Pair = tuple[int, int]
"""A token's count and weight."""
Batch = tuple[np.ndarray, ...]
"""Tokens, counts and weights of the first vocabulary, of the second, ..."""

_NO_TOKEN = b""
_EMPTY_LINE = b"\x00"
"""The only line of a vocabulary without tokens: a lookup table needs an entry."""


@dataclass(frozen=True)
class VocabularyFile:
    """A vocabulary's files and limits.

    Attributes:
      name: Of the file with one token a line.
      weights_name: Of a second file, where each line is weight, space, token. None: there is none.
      min_count: Tokens of a smaller count are left out.
      max_values: The largest number of tokens, those of the largest weights. None: all.
    """

    name: str
    weights_name: str | None = None
    min_count: int = 1
    max_values: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The files' names."""
        return (self.name, self.weights_name) if self.weights_name else (self.name,)


class WriteVocabularies(experimental.PTransformAnalyzer):
    """Maps a `Batch` collection to the paths of the written files, in the order of the vocabularies and their `names`.

    As with `tft.vocabulary`, counting is distributed and one worker orders and writes a vocabulary.
    """

    def __init__(self, files: Sequence[VocabularyFile]) -> None:
        super().__init__()
        self._files = tuple(files)

    def expand(self, batches: beam.PCollection[Batch]) -> tuple[beam.PCollection[np.ndarray], ...]:
        """Counts, filters and writes."""
        seeds = [(index, (0, _NO_TOKEN)) for index in range(len(self._files))]
        every_file = batches.pipeline | "EveryFile" >> beam.Create(seeds)
        entries = (
            batches
            | "Count" >> beam.FlatMap(count_batch)
            | "Sum" >> beam.CombinePerKey(_sum_pairs)
            | "Filter" >> beam.FlatMap(_frequent, [file.min_count for file in self._files])
        )
        names = [name for file in self._files for name in file.names]
        written = (
            (entries, every_file)
            | "Flatten" >> beam.Flatten()
            | "Group" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(_Write(self._files, self.base_temp_dir)).with_outputs(*names)
        )
        return tuple(written[name] for name in names)


def count_batch(batch: Batch) -> Iterator[tuple[tuple[int, bytes], Pair]]:
    """Sums counts and weights by token within a batch, as ((vocabulary, token), (count, weight))."""
    for index in range(len(batch) // 3):
        tokens, counts, weights = batch[3 * index : 3 * index + 3]
        codes, unique = pd.factorize(tokens)
        count = np.bincount(codes, counts, len(unique)).astype(np.int64)
        weight = np.bincount(codes, weights, len(unique)).astype(np.int64)
        for token, *pair in zip(unique, count.tolist(), weight.tolist(), strict=True):
            if token and b"\n" not in token and b"\r" not in token:
                yield (index, token), (pair[0], pair[1])


def _sum_pairs(pairs: Iterable[Pair]) -> Pair:
    count = weight = 0
    for more_count, more_weight in pairs:
        count += more_count
        weight += more_weight
    return count, weight


def _frequent(
    entry: tuple[tuple[int, bytes], Pair], min_counts: Sequence[int]
) -> Iterator[tuple[int, tuple[int, bytes]]]:
    (index, token), (count, weight) = entry
    if count >= min_counts[index]:
        yield index, (-weight, token)


class _Write(beam.DoFn):
    """Writes a vocabulary and yields each file's path under its name as the tag."""

    def __init__(self, files: Sequence[VocabularyFile], folder: str) -> None:
        self._files = files
        self._folder = folder

    def process(self, group: tuple[int, Iterable[tuple[int, bytes]]]) -> Iterator[beam.pvalue.TaggedOutput]:
        index, entries = group
        file = self._files[index]
        ordered = sorted(entry for entry in entries if entry[1] != _NO_TOKEN)[: file.max_values]
        tokens = [token for _, token in ordered]
        yield self._write(file.name, tokens)
        if file.weights_name:
            yield self._write(file.weights_name, [b"%d %s" % (-negative, token) for negative, token in ordered])

    def _write(self, name: str, lines: list[bytes]) -> beam.pvalue.TaggedOutput:
        tf.io.gfile.makedirs(self._folder)
        path = posixpath.join(self._folder, name)
        with tf.io.gfile.GFile(path, "wb") as out:
            out.write(b"".join(line + b"\n" for line in lines or [_EMPTY_LINE]))
        return beam.pvalue.TaggedOutput(name, np.array(path))
