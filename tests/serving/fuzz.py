"""Requests that callers should not send, generated from a model's signatures and sent over gRPC and REST."""

import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import grpc
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

DIMENSIONS = (-1, 0, 1, 1, 2, 3, 8, 600, 3000, 100_000, 2_000_000, 10_000_000, 1 << 40)
WORDS = (b"", b"u7", b"i2", b"1", b"\xff\x00", b"x" * 5000, b"\n\x05\n\x03\n\x01a")
NUMBERS = (0, 1, -1, 7, 1 << 31, -(1 << 31), (1 << 63) - 1, 888444000)
FLOATS = (0.0, -1.0, 1e38, float("nan"), float("inf"))
JSON_VALUES = (None, True, 1, 1.5, 1 << 70, "i2", "", {"b64": "CgA="}, {"b64": "!"}, {"a": 1}, [], float("nan"))
BROKEN_BODIES = (b"", b"{", b"[" * 200, b'{"instances": ' + b"[" * 100 + b"]" * 100 + b"}", b"\xff", b"1e999")
CALLERS_FAULTS = ("INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "OUT_OF_RANGE")
STATUSES = (200, 400, 404, 405, 413, 429)
FEATURES = ("user_id", "item_id", "time", "k", "exclude_item_id", "candidate_item_id", "user_age", "context_device")

Signatures = dict[str, meta_graph_pb2.SignatureDef]


def signatures_of(channel: grpc.Channel, model: str) -> Signatures:
    """The model's signatures by name."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = model
    response = prediction_service_pb2_grpc.PredictionServiceStub(channel).GetModelMetadata(request, timeout=60)
    found = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(found)
    return dict(sorted(found.signature_def.items()))


def fuzz(address: str, rest_address: str, model: str, count: int, seed: int) -> Counter[str]:
    """Sends `count` requests, half of them over each protocol; returns how often each code was answered."""
    draw = random.Random(seed)
    codes: Counter[str] = Counter()
    with grpc.insecure_channel(address) as channel:
        signatures = signatures_of(channel, model)
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        for number in range(count):
            if number % 2:
                codes[f"REST {_post(f'http://{rest_address}/v1/models/{model}:predict', _body(draw, signatures))}"] += 1
            else:
                call = predict.future(_message(draw, model, signatures), timeout=60)
                codes[call.code().name] += 1
    return codes


def unexpected(codes: Counter[str]) -> set[str]:
    """The answers that are no success and no fault of the caller."""
    return set(codes) - {"OK", *CALLERS_FAULTS, *(f"REST {status}" for status in STATUSES)}


def peak_megabytes(pid: int) -> float:
    """The most memory that a process ever had resident."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def _message(draw: random.Random, model: str, signatures: Signatures) -> bytes:
    if draw.random() < 0.05:
        return draw.randbytes(draw.randrange(64))
    name = draw.choice([*signatures, "", "nothing"])
    request = predict_pb2.PredictRequest()
    request.model_spec.name = draw.choice([*[model] * 12, "other", ""])
    request.model_spec.signature_name = name
    definition = signatures.get(name or "serving_default", meta_graph_pb2.SignatureDef())
    for alias, info in sorted(definition.inputs.items()):
        if draw.random() < 0.97:
            request.inputs[alias].CopyFrom(_tensor(draw, info))
    if draw.random() < 0.05:
        request.output_filter.append(draw.choice([*sorted(definition.outputs), "nothing"]))
    return bytes(request.SerializeToString())


def _tensor(draw: random.Random, info: Any) -> Any:
    dtype = info.dtype if draw.random() < 0.95 else draw.choice([0, 1, 3, 7, 9, 14, 20, 99])
    tensor = tf.make_tensor_proto([])
    tensor.Clear()
    tensor.dtype = dtype
    rank = len(info.tensor_shape.dim) if draw.random() < 0.9 else draw.randrange(12)
    for _ in range(rank):
        tensor.tensor_shape.dim.add(size=draw.choice(DIMENSIONS))
    if draw.random() < 0.05:
        tensor.tensor_content = draw.randbytes(draw.choice([1, 4, 8, 64]))
    if dtype == tf.string.as_datatype_enum:
        tensor.string_val.extend(
            _example(draw) if draw.random() < 0.5 else draw.choice(WORDS) for _ in range(_count(draw))
        )
    else:
        for field in ("int_val", "int64_val"):
            getattr(tensor, field).extend(draw.choice(NUMBERS[:4]) for _ in range(_count(draw)))
        tensor.float_val.extend(draw.choice(FLOATS) for _ in range(_count(draw)))
    return tensor


def _count(draw: random.Random) -> int:
    return draw.choice([0, 1, 1, 2, 3, 9])


def _example(draw: random.Random) -> bytes:
    """A tf.Example with some features of a recommender, of the right types and of others, some of them long."""
    example = tf.train.Example()
    for name in draw.sample(FEATURES, draw.randrange(len(FEATURES))):
        feature = example.features.feature[name]
        count = draw.choice([0, 1, 2, 5, 300, 3000])
        kind = draw.random()
        if kind < 0.5:
            feature.bytes_list.value.extend(draw.choice(WORDS[:5]) for _ in range(count))
        elif kind < 0.85:
            feature.int64_list.value.extend(draw.choice(NUMBERS) for _ in range(count))
        else:
            feature.float_list.value.extend(draw.choice(FLOATS) for _ in range(count))
    return bytes(example.SerializeToString())


def _body(draw: random.Random, signatures: Signatures) -> bytes:
    if draw.random() < 0.1:
        return draw.choice(BROKEN_BODIES)
    name = draw.choice([*signatures, "nothing"])
    definition = signatures.get(name, meta_graph_pb2.SignatureDef())
    columns = {alias: _value(draw, draw.randrange(4)) for alias in sorted(definition.inputs) if draw.random() < 0.95}
    form = draw.choice(["inputs", "instances", "neither"])
    values = {"signature_name": name, form: columns if form == "inputs" else [columns] * _count(draw)}
    return json.dumps(values).encode()


def _value(draw: random.Random, depth: int) -> Any:
    if depth:
        return [_value(draw, depth - 1)] * draw.choice([0, 1, 2, 2, 40])
    return draw.choice(JSON_VALUES)


def _post(url: str, body: bytes) -> int:
    try:
        with urlopen(Request(url, body), timeout=60) as response:
            return int(response.status)
    except HTTPError as error:
        error.read()
        return error.code
