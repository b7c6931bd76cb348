"""Malformed requests: every one gets an error of the caller's kind, and the server goes on.

400 in the default suite; `FUZZ_REQUESTS=10000 pytest tests/serving/test_fuzz.py` sends 10,000.
"""

import os
from typing import Any

import grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow_serving.apis import predict_pb2

from serving.client import PREDICT, RecommenderClient, Request
from tests.serving.models import RunningServer

EXPECTED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INTERNAL,  # gRPC's own answer to bytes that are no PredictRequest
}


@st.composite
def tensors(draw: st.DrawFn) -> Any:
    tensor = predict_pb2.PredictRequest().inputs["x"]
    tensor.dtype = draw(st.sampled_from([0, 1, 3, 7, 9, 10, 14, 20, 21, 99]))
    for size in draw(st.lists(st.sampled_from([-1, 0, 1, 2, 3, 1 << 40]), max_size=3)):
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = draw(st.binary(max_size=16))
    tensor.string_val.extend(draw(st.lists(st.binary(max_size=24), max_size=3)))
    tensor.float_val.extend(draw(st.lists(st.floats(width=32), max_size=3)))
    return tensor


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        return draw(st.binary(max_size=64))
    request = predict_pb2.PredictRequest()
    request.model_spec.name = draw(st.sampled_from(["recommender", "recommender", "other", ""]))
    request.model_spec.signature_name = draw(st.sampled_from(["", "recommend_tensors", "nothing"]))
    for name in draw(st.lists(st.sampled_from(["examples", "user_id", "item_id", "k", "x"]), unique=True)):
        request.inputs[name].CopyFrom(draw(tensors()))
    request.output_filter.extend(draw(st.lists(st.sampled_from(["score", "count", "zz"]), max_size=2)))
    return bytes(request.SerializeToString())


@settings(
    max_examples=int(os.environ.get("FUZZ_REQUESTS", "400")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=requests())
def test_malformed_requests(server: RunningServer, client: RecommenderClient, data: bytes) -> None:
    call = client._channel.unary_unary(PREDICT).future(data, timeout=20)
    assert call.code() in EXPECTED, call.details()
    assert "Traceback" not in (call.details() or "")
    assert server.process.poll() is None


def test_it_still_answers(client: RecommenderClient) -> None:
    assert client.recommend(Request(k=1))[0].item_id == "a"
