import asyncio
import re
import resource
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from serving.client import AsyncRecommenderClient, RecommenderClient, RecommenderError, Request, TensorSpec, wire
from tests.serving.models import RunningServer, eventually


def test_recommend(client: RecommenderClient) -> None:
    items = client.recommend(Request(user_id="u", history=["a", "nobody"], exclude=["c"], features={"user_age": 3.0}))
    assert [(item.item_id, item.score) for item in items] == [("b", 5.0), ("d", 3.0), ("e", 2.0)]
    assert items[0].scores == {"retrieval_score": 5.0, "like": 0.5}


def test_recommend_many_with_unequal_shapes(client: RecommenderClient) -> None:
    requests = [Request(history=["a", "b", "c", "d", "e"], k=4), Request(k=2), Request(history=list("abcdef"))]
    answers = client.recommend_many(requests)
    assert [[item.item_id for item in answer] for answer in answers] == [["f"], ["a", "b"], []]
    assert client.recommend_many([]) == []


def test_status_and_metadata(client: RecommenderClient) -> None:
    (status,) = client.status()
    assert (status.version, status.state, status.error) == (7, "AVAILABLE", "")
    metadata = client.metadata()
    assert metadata.version == 7
    assert metadata.signatures["serving_default"].inputs == {"examples": TensorSpec("string", (-1,))}
    assert metadata.signatures["recommend_tensors"].inputs["item_id"] == TensorSpec("string", (-1, -1))
    assert metadata.signatures["recommend_tensors"].outputs["count"].dtype == "int32"


def test_errors_name_address_code_and_remedy(server: RunningServer) -> None:
    with RecommenderClient(server.address, model_name="other") as client, pytest.raises(RecommenderError) as raised:
        client.recommend(Request())
    assert raised.value.code == "NOT_FOUND"
    for part in (server.address, "other", "no model 'other' is served", "Is `model_name` the name"):
        assert part in str(raised.value)


def test_a_feature_of_the_wrong_type_is_the_callers_error(client: RecommenderClient) -> None:
    with pytest.raises(RecommenderError, match="user_age") as raised:
        client.recommend(Request(features={"user_age": "old"}))
    assert raised.value.code == "INVALID_ARGUMENT"


def test_the_async_client_answers_alike(server: RunningServer, client: RecommenderClient) -> None:
    async def ask() -> list[Any]:
        async with AsyncRecommenderClient(server.address, timeout=20.0) as asking:
            both = asyncio.gather(*(asking.recommend(Request(history=[item], k=2)) for item in "ab"))
            return [await both, await asking.recommend_many([]), await asking.status(), await asking.metadata()]

    answers, *others = asyncio.run(ask())
    assert [[item.item_id for item in answer] for answer in answers] == [["b", "c"], ["a", "c"]]
    assert others == [[], client.status(), client.metadata()]


def test_a_call_has_a_trace_id_and_a_deadline_of_its_own() -> None:
    async def ask(address: str) -> None:
        async with AsyncRecommenderClient(address, metadata=[("x-token", "t")]) as asking:
            await asking.recommend(Request(), metadata=[("x-trace-id", "second")])

    handler = _Flaky(0, grpc.StatusCode.UNAVAILABLE)
    server, address = _flaky_server(handler)
    with RecommenderClient(address, metadata=[("x-token", "t")]) as client:
        client.recommend(Request(), metadata=[("x-trace-id", "first")])
        assert {("x-token", "t"), ("x-trace-id", "first")} <= set(handler.metadata)
        client.recommend(Request())
        assert "x-trace-id" not in dict(handler.metadata)
        asyncio.run(ask(address))
        assert {("x-token", "t"), ("x-trace-id", "second")} <= set(handler.metadata)
        handler.seconds = 2.0
        with pytest.raises(RecommenderError, match="DEADLINE_EXCEEDED"):
            client.recommend(Request(), timeout=0.2)
    server.stop(0)


def test_the_async_client_tries_again_and_gives_up_alike() -> None:
    async def ask(address: str, attempts: int) -> list[Any]:
        async with AsyncRecommenderClient(address, attempts=attempts) as client:
            return await client.recommend(Request())

    handler = _Flaky(2, grpc.StatusCode.UNAVAILABLE)
    server, address = _flaky_server(handler)
    with pytest.raises(RecommenderError, match="UNAVAILABLE"):
        asyncio.run(ask(address, attempts=1))
    assert asyncio.run(ask(address, attempts=2)) == []
    assert handler.calls == 3
    server.stop(0)


class _Flaky(grpc.GenericRpcHandler):
    """Fails `failures` times with `code`, then answers with nothing recommended."""

    def __init__(self, failures: int, code: grpc.StatusCode) -> None:
        self.calls = 0
        self.failures = failures
        self.code = code
        self.metadata: list[Any] = []
        self.seconds = 0.0

    def service(self, details: Any) -> grpc.RpcMethodHandler:
        self.metadata = list(details.invocation_metadata)
        return grpc.unary_unary_rpc_method_handler(
            self._answer,
            request_deserializer=wire.PredictRequest.FromString,
            response_serializer=lambda m: m.SerializeToString(),
        )

    def _answer(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.calls += 1
        time.sleep(self.seconds)
        if self.calls <= self.failures:
            context.abort(self.code, "not now")
        response = wire.PredictResponse()
        for name, dtype in (("item_id", 7), ("score", 1), ("count", 3)):
            response.outputs[name].dtype = dtype
            response.outputs[name].tensor_shape.dim.add(size=1)
        response.outputs["count"].int_val.append(0)
        response.outputs["item_id"].string_val.append(b"")
        response.outputs["score"].float_val.append(0)
        return response


def _flaky_server(handler: _Flaky) -> tuple[grpc.Server, str]:
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("localhost:0")
    server.start()
    return server, f"localhost:{port}"


@pytest.mark.parametrize(
    ("code", "calls"), [("UNAVAILABLE", 3), ("CANCELLED", 3), ("INTERNAL", 1), ("RESOURCE_EXHAUSTED", 1)]
)
def test_only_what_a_server_that_goes_away_answers_is_tried_again(code: str, calls: int) -> None:
    handler = _Flaky(2, grpc.StatusCode[code])
    server, address = _flaky_server(handler)
    with RecommenderClient(address, metadata=[("x-trace-id", "t1")]) as client:
        if calls == 3:
            assert client.recommend(Request()) == []
        else:
            with pytest.raises(RecommenderError, match=code):
                client.recommend(Request())
    assert handler.calls == calls
    assert ("x-trace-id", "t1") in handler.metadata
    server.stop(0)


def test_the_deadline_holds_over_all_attempts() -> None:
    with socket.socket() as silent:
        silent.bind(("localhost", 0))
        silent.listen()
        address = f"localhost:{silent.getsockname()[1]}"
        started = time.monotonic()
        with RecommenderClient(address, timeout=0.5, attempts=5) as client, pytest.raises(RecommenderError) as raised:
            client.recommend(Request())
    assert raised.value.code in ("DEADLINE_EXCEEDED", "UNAVAILABLE")
    assert time.monotonic() - started < 2.0


def test_closing_ends_a_call_that_is_trying_again() -> None:
    handler = _Flaky(10**9, grpc.StatusCode.CANCELLED)
    server, address = _flaky_server(handler)
    client = RecommenderClient(address, timeout=60.0, attempts=5)
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(client.recommend, Request())
        eventually(lambda: handler.calls >= 2)
        client.close()
        with pytest.raises(RecommenderError, match="CANCELLED"):
            call.result(timeout=10)
    server.stop(0)


_BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

class Blocker(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "google", "grpc", "serving", *%r}:
            raise ImportError(f"not in the client's extra: {name}")

sys.meta_path.insert(0, Blocker())
import serving.client
"""
_OF_GRPC = ("typing_extensions", "cygrpc")


def test_it_needs_grpc_and_protobuf_alone_and_starts_in_well_under_a_second() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", _BLOCKED % (_OF_GRPC,)], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < 0.8, "of CPU time: the machine may be busy"


def test_its_extra_is_grpc_and_protobuf_alone(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "setup.py", "--quiet", "egg_info", f"--egg-base={tmp_path}"]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    (requires,) = tmp_path.glob("*/requires.txt")
    sections = re.split(r"^\[(.*)\]$", requires.read_text(), flags=re.MULTILINE)
    extras = dict(zip(["", *sections[1::2]], sections[::2], strict=True))
    for section in ("", "client"):
        assert set(re.findall(r"^[\w-]+", extras[section], re.MULTILINE)) == {"grpcio", "protobuf"}
