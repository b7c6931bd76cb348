"""The gRPC services on a server that answers one request at a time, in this process."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.api import Api
from serving.metrics import Metrics
from serving.model import Retries
from serving.repository import Repository
from serving.services import prediction_service


class Slow(Api):
    """Answers when it may."""

    def __init__(self) -> None:
        super().__init__(Repository(lambda *_: None, Retries()), Metrics())  # type: ignore[arg-type, return-value]
        self.may = threading.Event()
        self.asked: list[str] = []

    def predict(self, request: Any) -> Any:
        self.asked.append(request.model_spec.name)
        self.may.wait(10)
        return predict_pb2.PredictResponse()


@pytest.fixture
def slow() -> Iterator[tuple[Slow, Any]]:
    api = Slow()
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((prediction_service(api, threading.Semaphore(1)),))
    port = server.add_insecure_port("localhost:0")
    server.start()
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        yield api, prediction_service_pb2_grpc.PredictionServiceStub(channel)
    server.stop(0)


def _request(name: str) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    return request


def test_a_request_whose_deadline_passed_while_it_waited_is_not_computed(slow: tuple[Slow, Any]) -> None:
    api, stub = slow
    first = stub.Predict.future(_request("first"), timeout=20)
    while not api.asked:
        time.sleep(0.01)
    late, cancelled = stub.Predict.future(_request("late"), timeout=0.1), stub.Predict.future(_request("cancelled"))
    time.sleep(0.1)
    cancelled.cancel()
    assert late.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    time.sleep(0.1)  # the server learns of it
    api.may.set()
    first.result()
    stub.Predict(_request("last"), timeout=20)
    assert api.asked == ["first", "last"]
