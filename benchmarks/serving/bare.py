"""The graph call alone, in a process of its own: what a server cannot be faster than.

python -m benchmarks.serving.bare FOLDER --seconds 3
"""

import argparse
import json
import sys
import time
from pathlib import Path

from tensorflow_serving.apis import predict_pb2

from benchmarks.serving.requests import MODEL_NAME, read_requests
from serving.server.predict import DEFAULT_SIGNATURE
from serving.server.servable import load, session_config
from serving.server.tensors import array_from_proto


def main() -> None:
    """Prints the milliseconds of every call as JSON: tensors in, tensors out, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with a model and its requests")
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    base = arguments.folder / MODEL_NAME
    servable = load(MODEL_NAME, 1, str(base / "1"), session_config(0, 0))
    signature = servable.signatures[DEFAULT_SIGNATURE]
    requests = map(predict_pb2.PredictRequest.FromString, read_requests(arguments.folder))
    feeds = [
        {name: array_from_proto(request.inputs[alias], alias) for alias, name in signature.inputs.items()}
        for request in requests
    ]
    fetches = list(signature.outputs.values())
    end = time.perf_counter() + arguments.seconds
    milliseconds: list[float] = []
    while (begin := time.perf_counter()) < end:
        servable.run(feeds[len(milliseconds) % len(feeds)], fetches)
        milliseconds.append((time.perf_counter() - begin) * 1e3)
    json.dump(milliseconds, sys.stdout)


if __name__ == "__main__":
    main()
