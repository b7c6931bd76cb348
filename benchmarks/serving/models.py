"""The models that the servers load: synthetic catalogues, or a finished run's model, with requests for each.

    python -m benchmarks.serving.models FOLDER --items 1682 --index exact

A process of its own: only here and in the servers is TensorFlow loaded.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import trainer  # noqa: F401  (selects Keras 2 before TensorFlow is imported)

import tensorflow as tf  # isort: skip
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2  # isort: skip

from benchmarks.data import clustered
from benchmarks.serving.load import MODEL_NAME, read_requests, write_requests
from config.serving import ServingConfig
from serving.server.predict import DEFAULT_SIGNATURE
from serving.server.servable import WARMUP_FILE, load, session_config
from serving.server.tensors import array_from_proto
from trainer.export.index.build import build_index

_DIMENSION = 64
_REQUESTS = 256
_TOP = 100


class Catalogue(tf.Module):
    """The best `_TOP` of random items: the least that a recommender does, so that the server's own cost shows."""

    def __init__(self, items: int, kind: str) -> None:
        super().__init__()
        table, self.queries = clustered(items, _REQUESTS, _DIMENSION)
        table = np.concatenate([table, np.zeros((1, _DIMENSION), np.float32)])
        self.index, _ = build_index(table, self.queries, ServingConfig(index=kind))
        self.ids = tf.Variable([str(number) for number in range(items)], trainable=False)

    @tf.function(input_signature=[tf.TensorSpec([None, _DIMENSION], name="query")])
    def best(self, query: tf.Tensor) -> dict[str, tf.Tensor]:
        """The scores and ids of the best items: float [B, D] -> [B, 100]."""
        score, item = self.index.search(query, tf.constant(_TOP), tf.zeros([tf.shape(query)[0], 0], tf.int64))
        return {"item_id": tf.gather(self.ids, item), "score": score}


def export(folder: Path, items: int, kind: str) -> None:
    """Writes version 1 of a synthetic model, with warm-up requests."""
    model = Catalogue(items, kind)
    tf.saved_model.save(model, str(folder / "1"), signatures={DEFAULT_SIGNATURE: model.best})
    file = folder / "1" / WARMUP_FILE
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for query in model.queries:
            request = predict_pb2.PredictRequest()
            request.inputs["query"].CopyFrom(tf.make_tensor_proto(query[np.newaxis]))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())


def single_requests(version: Path) -> Iterator[bytes]:
    """The requests for one row of the default signature among the model's own warm-up requests."""
    files = [str(file) for file in version.glob(WARMUP_FILE)]
    for record in tf.data.TFRecordDataset(files).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        is_default = request.model_spec.signature_name in ("", DEFAULT_SIGNATURE)
        if is_default and all(tensor.tensor_shape.dim[0].size == 1 for tensor in request.inputs.values()):
            request.model_spec.Clear()
            request.model_spec.name = MODEL_NAME
            yield request.SerializeToString()


def bare(base: Path, requests: list[bytes], seconds: float) -> list[float]:
    """Returns the milliseconds of every graph call alone, tensors in and out: what a server cannot be faster than."""
    servable = load(MODEL_NAME, 1, str(base / "1"), session_config(0, 0))
    signature = servable.signatures[DEFAULT_SIGNATURE]
    parsed = map(predict_pb2.PredictRequest.FromString, requests)
    feeds = [
        {name: array_from_proto(request.inputs[alias], alias) for alias, name in signature.inputs.items()}
        for request in parsed
    ]
    end = time.perf_counter() + seconds
    milliseconds: list[float] = []
    while (begin := time.perf_counter()) < end:
        servable.run(feeds[len(milliseconds) % len(feeds)], list(signature.outputs.values()))
        milliseconds.append((time.perf_counter() - begin) * 1e3)
    return milliseconds


def main() -> None:
    """Writes the model and its requests, or prints the milliseconds of its graph calls as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--items", type=int, default=1682, help="of a synthetic catalogue")
    parser.add_argument("--index", default="exact", help="`serving.index` of a synthetic catalogue")
    parser.add_argument("--model", type=Path, help="a version's folder of a finished run, instead of a synthetic one")
    parser.add_argument("--bare", type=float, metavar="SECONDS", help="measure the graph calls of a written model")
    arguments = parser.parse_args()
    base = arguments.folder / MODEL_NAME
    if arguments.bare:
        json.dump(bare(base, read_requests(arguments.folder), arguments.bare), sys.stdout)
        return
    base.mkdir(parents=True)
    if arguments.model:
        shutil.copytree(arguments.model, base / "1")
    else:
        export(base, arguments.items, arguments.index)
    write_requests(arguments.folder, single_requests(base / "1"))


if __name__ == "__main__":
    main()
