"""Servers under test: processes of any binary that takes TensorFlow Serving's flags, or one that runs somewhere."""

import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import grpc
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

EMBEDDED = f"{sys.executable} -m serving.server"
PATIENCE = 180.0
TIMEOUT = 30.0


class Process:
    """A server process; its standard output and error go to one file."""

    def __init__(self, binary: str, log: Path, *flags: str) -> None:
        self.log = log
        self.ended: float | None = None
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [*shlex.split(binary), *flags],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"},
            )

    def output(self, timeout: float = PATIENCE) -> tuple[int, str]:
        """Waits for the end. Exit status and what was printed."""
        status = self.process.wait(timeout)
        return status, self.log.read_text(errors="replace")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Server:
    """The doors of a server, and the models that it should have."""

    def __init__(
        self, grpc_address: str, rest_address: str, credentials: grpc.ChannelCredentials | None = None
    ) -> None:
        self.grpc_address = grpc_address
        self.rest_address = rest_address
        self.process: Process | None = None
        self.base: list[dict[str, Any]] = []
        self.extra: set[str] = set()
        self.connect(credentials)

    def connect(self, credentials: grpc.ChannelCredentials | None) -> None:
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        if credentials is None:
            self.channel = grpc.insecure_channel(self.grpc_address, options)
        else:
            self.channel = grpc.secure_channel(self.grpc_address, credentials, options)
        self.predictions: Any = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models: Any = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def wait(self) -> None:
        """Returns once both doors are open. Raises `AssertionError` with the output when the process ends instead."""
        end = time.monotonic() + PATIENCE
        while not (_is_open(self.grpc_address) and _is_open(self.rest_address)):
            if self.process is not None and self.process.process.poll() is not None:
                raise AssertionError(f"the server ended:\n{self.process.log.read_text(errors='replace')[-3000:]}")
            assert time.monotonic() < end, "the server did not listen in time"
            time.sleep(0.1)
        grpc.channel_ready_future(self.channel).result(PATIENCE)

    def reload(self, *extra: dict[str, Any], metric_names: tuple[str, ...] = (), timeout: float = TIMEOUT) -> Any:
        """HandleReloadConfigRequest: the base models and these; returns the response.

        Waits until the models that are no more in the list are unloaded: TensorFlow Serving takes the end of one for
        the end of the next that has its name.
        """
        request = model_management_pb2.ReloadConfigRequest(metric_names=metric_names)
        request.config.model_config_list.SetInParent()
        for model in (*self.base, *extra):
            request.config.model_config_list.config.add(**{"model_platform": "tensorflow", **model})
        names = {str(model["name"]) for model in extra}
        self.extra |= names
        response = self.models.HandleReloadConfigRequest(request, timeout=timeout)
        for name in self.extra - names:
            eventually(lambda name=name: self._has_ended(name))  # type: ignore[misc]
        self.extra = names
        return response

    def _has_ended(self, name: str) -> bool:
        try:
            return set(self.states(name).values()) <= {"START", "END"}  # a version that was never loaded stays at START
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:  # type: ignore[attr-defined]
                raise
            return True  # it has had no version

    def states(self, name: str) -> dict[int, str]:
        """Version -> state, of all versions."""
        return {status.version: _state(status) for status in self.status(name)}

    def status(self, name: str) -> Any:
        """GetModelStatus of all versions."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = name
        return self.models.GetModelStatus(request, timeout=TIMEOUT).model_version_status

    def rest(
        self, path: str, body: object = None, method: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, dict[str, str]]:
        """Status, body and headers (names in lower case) of a request; `body` is JSON, or bytes as they are."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(f"http://{self.rest_address}{path}", data, headers or {}, method=method)
        try:
            with urlopen(request, timeout=TIMEOUT) as response:
                return response.status, _text(response.read()), _lower(response.headers)
        except HTTPError as error:
            return error.code, _text(error.read()), _lower(error.headers)

    def talk(self, *requests: str) -> list[tuple[int, str, dict[str, str]]]:
        """Status, HTTP version and headers of the answers to requests as they are, over one connection.

        Fewer than the requests where the server closes it.
        """
        host, _, port = self.rest_address.rpartition(":")
        answers = []
        with socket.create_connection((host, int(port)), TIMEOUT) as client:
            for request in requests:
                try:
                    client.sendall(request.encode())
                    response = HTTPResponse(client)
                    response.begin()
                    response.read()
                except ConnectionError:
                    break
                answers.append((response.status, f"1.{response.version - 10}", _lower(response.headers)))
        return answers

    def say(self, data: bytes) -> bytes:
        """All that comes back until the server closes the connection."""
        host, _, port = self.rest_address.rpartition(":")
        with socket.create_connection((host, int(port)), TIMEOUT) as client:
            client.sendall(data)
            return b"".join(iter(lambda: client.recv(1 << 16), b""))

    def json(self, path: str, body: object = None) -> Any:
        """The body of an answer with status 200."""
        status, text, _ = self.rest(path, body)
        assert status == 200, text
        return json.loads(text)

    def error(self, path: str, body: object = None, method: str | None = None) -> tuple[int, str]:
        """Status and `error` of an answer."""
        status, text, _ = self.rest(path, body, method)
        return status, json.loads(text, strict=False)["error"]


def failure(call: Callable[[], Any]) -> tuple[str, str]:
    """The code's name and the details of a call that fails."""
    try:
        answer = call()
    except grpc.RpcError as error:
        return error.code().name, error.details() or ""  # type: ignore[attr-defined]
    raise AssertionError(f"the call should fail. It answered: {str(answer)[:500]}")


def eventually(condition: Callable[[], object], timeout: float = 60.0) -> None:
    """Waits until `condition()` is true."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def config_text(*models: dict[str, Any]) -> str:
    """A model config file."""
    texts = [" ".join(f'{key}: "{value}"' for key, value in model.items() if key != "policy") for model in models]
    policies = [model.get("policy", "") for model in models]
    platform = 'model_platform: "tensorflow"'
    inner = "\n".join(f"  config {{ {t} {platform} {p} }}" for t, p in zip(texts, policies, strict=True))
    return f"model_config_list {{\n{inner}\n}}\n"


def _state(status: Any) -> str:
    return str(get_model_status_pb2.ModelVersionStatus.State.Name(status.state))


def _is_open(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True


def _text(body: bytes) -> str:
    return body.decode("utf-8", "surrogateescape")


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
