"""Candidates' embeddings as a Parquet file: what FAISS, ScaNN or Vertex AI Vector Search index."""

import posixpath
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tfx.utils import io_utils

from config import feature_names

EMBEDDING: Final = "embedding"
NORM: Final = "norm"


def write_candidates(loaded: Any, path: str, rows: int, metadata: Mapping[str, str]) -> tuple[int, int]:
    """Writes the item ids, the embeddings and their Euclidean norms in the order of the catalogue.

    The columns are `item_id` (string), `embedding` (fixed-size list of float32) and `norm` (float32).

    Args:
      loaded: The loaded SavedModel of the Trainer, with the signature `embed_candidate`.
      path: The file, on a file system or an object store.
      rows: The number of items that are embedded at a time; the model bounds it by `serving.max_candidates`.
      metadata: The file's key-value metadata.

    Returns:
      The number of items and the length of an embedding.
    """
    import tensorflow as tf

    ids = loaded.item_ids.numpy()
    embed = loaded.signatures["embed_candidate"]
    width = embed.structured_outputs[EMBEDDING].shape[1]
    schema = pa.schema(
        {
            feature_names.ITEM_ID: pa.string(),
            EMBEDDING: pa.list_(pa.float32(), width),
            NORM: pa.float32(),
        },
        metadata=dict(metadata),
    )
    with _written(path) as file, pq.ParquetWriter(file, schema) as writer:
        for part in _parts(ids, rows):
            vectors = embed(item_id=tf.constant(part))[EMBEDDING].numpy()
            writer.write_batch(_batch(part, vectors, schema))
    return len(ids), width


@contextmanager
def _written(path: str) -> Iterator[str]:
    """Yields a file on this machine that is copied to the path afterwards if that is on an object store."""
    if "://" not in path:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        local = posixpath.join(folder, posixpath.basename(path))
        yield local
        io_utils.copy_file(local, path)


def _parts(ids: NDArray[np.object_], rows: int) -> Iterator[NDArray[np.object_]]:
    for start in range(0, len(ids), rows):
        yield ids[start : start + rows]


def _batch(ids: NDArray[np.object_], vectors: NDArray[np.float32], schema: pa.Schema) -> pa.RecordBatch:
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    columns = [
        pa.array([item.decode() for item in ids], pa.string()),
        pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        pa.array(np.linalg.norm(vectors, axis=1).astype(np.float32)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
