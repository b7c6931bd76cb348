"""Records that several workers read together: each its own files, while all know the length of every window."""

import zlib
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.distributed.sharding import SHARED, WorkerShare, file_owners

PARALLEL_FILES: Final = 4
"""The number of files that are read side by side."""
_BATCH: Final = 256


class SharedRecords:
    """The serialized windows of all files, of which a worker reads its own.

    Args:
        files: Paths of gzipped TFRecord files, the same for all workers.
        share: Which worker this is.
        is_kept: Whether the own records are kept in memory, and not read again.

    Raises:
        RuntimeError: The workers' files differ.
    """

    def __init__(self, files: list[str], share: WorkerShare, is_kept: bool) -> None:
        self._files, self._share, self._is_kept = files, share, is_kept
        sizes = [tf.io.gfile.stat(file).length for file in files]
        digest = zlib.crc32("\n".join(f"{file} {size}" for file, size in zip(files, sizes, strict=True)).encode())
        if len(set(np.concatenate(share.gather(np.array([digest]))).tolist())) > 1:
            raise RuntimeError(
                f"all workers should find the same examples. Received by worker {share.worker}: {len(files)} files with"
                f" {sum(sizes)} bytes, such as {files[0]}"
            )
        self._owners = file_owners(sizes, share.workers)
        self._kept: list[tf.Tensor] = []
        self._measured: list[tuple[int, NDArray[np.int32]]] = []

    def own_batches(self) -> Iterator[tuple[int, tf.Tensor]]:
        """Reads this worker's records, file after file: yields the file's index and records, string [n]."""
        for index, file in enumerate(self._files):
            records = tf.data.TFRecordDataset(file, "GZIP")
            if self._owners[index] == SHARED:
                records = records.shard(self._share.workers, self._share.worker)
            elif self._owners[index] != self._share.worker:
                continue
            for batch in records.batch(_BATCH):
                yield index, batch

    def keep(self, file: int, batch: tf.Tensor, lengths: NDArray[np.int32]) -> None:
        """Takes the lengths int32 [n] of a batch of `own_batches`; all batches come in their order."""
        self._measured.append((file, lengths))
        if self._is_kept:
            self._kept.append(batch)

    def exchange(self) -> None:
        """Tells the other workers the lengths of the own windows, after the last batch, and learns theirs."""
        counts = np.zeros(len(self._files), np.int64)
        for file, found in self._measured:
            counts[file] += len(found)
        lengths = np.concatenate([np.zeros(0, np.int32), *(found for _, found in self._measured)])
        counts_of, lengths_of = self._share.gather(counts), self._share.gather(lengths)
        self._measured.clear()
        self._offsets = np.concatenate([[0], np.cumsum(sum(counts_of))])
        self._lengths = np.zeros(self._offsets[-1], np.int32)
        self._own = np.full(len(self._lengths), -1, np.int64)
        for worker in range(self._share.workers):
            position = np.concatenate([np.zeros(0, np.int64), *self._positions(worker)])
            self._lengths[position] = lengths_of[worker]
            if worker == self._share.worker:
                self._own[position] = np.arange(len(position))

    def _positions(self, worker: int) -> Iterator[NDArray[np.int64]]:
        """Yields the positions of a worker's windows among all, file after file."""
        for owner, start, end in zip(self._owners, self._offsets[:-1], self._offsets[1:], strict=True):
            if owner == SHARED:
                yield np.arange(start + worker, end, self._share.workers)
            elif owner == worker:
                yield np.arange(start, end)

    @cached_property
    def dataset(self) -> tf.data.Dataset:
        """All windows in the order of `interleaved_files`: records, "" for those of others, and lengths int32."""
        offsets, lengths = tf.constant(self._offsets), tf.constant(self._lengths)
        files = tf.data.Dataset.range(len(self._files))
        if self._is_kept:
            records = tf.concat([*self._kept, [b""]], axis=0)
            own = tf.constant(np.where(self._own < 0, len(records) - 1, self._own))
            self._kept.clear()
            positions = interleaved(files, lambda file: tf.data.Dataset.range(offsets[file], offsets[file + 1]))
            return positions.map(lambda position: (records[own[position]], lengths[position]))
        paths, is_own = tf.constant(self._files), tf.constant(self._own >= 0)
        is_read = tf.constant(np.isin(self._owners, [SHARED, self._share.worker]))

        def of_file(file: tf.Tensor) -> tf.data.Dataset:
            positions = tf.data.Dataset.range(offsets[file], offsets[file + 1])
            read = tf.data.TFRecordDataset(tf.boolean_mask(paths[file : file + 1], is_read[file : file + 1]), "GZIP")
            others = tf.data.Dataset.range(tf.where(is_read[file], offsets[file], offsets[file + 1]) - offsets[file])
            pairs = tf.data.Dataset.zip(positions, read.concatenate(others.map(lambda _: b"")))
            return pairs.map(lambda position, record: (tf.where(is_own[position], record, b""), lengths[position]))

        return interleaved(files, of_file)


def interleaved(files: tf.data.Dataset, read: Callable[[tf.Tensor], tf.data.Dataset]) -> tf.data.Dataset:
    """Reads some files side by side, one record of each in turn: always in the same order."""
    return files.interleave(read, PARALLEL_FILES, 1, num_parallel_calls=PARALLEL_FILES, deterministic=True)
