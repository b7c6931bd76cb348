"""HTTP/1 with kept-alive connections: a thread for each, and a pool of threads that answer."""

import errno
import logging
import socket
import threading
import time
import zlib
from argparse import Namespace
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from serving import callers
from serving.rest import json_text
from serving.rest.handler import Answer, Handler
from serving.rest.request_target import path_of

LOG = logging.getLogger("serving")

_VERBS: Final = {f"do_{verb}" for verb in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD")}
_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}
_LARGEST_CHUNK_LINE: Final = 1024
_GZIP: Final = 31
"""zlib's number for: a window of 32 KB, with gzip's header."""
_LARGEST_BODY: Final = 100 << 20
"""A compressed body that is larger than this counts as none."""
_IDLE_SECONDS: Final = 300.0
_NO_IPV6: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.ENOPROTOOPT})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, flags: Namespace, handler: Handler, host: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.handler = handler
        self.cors: bool = flags.rest_api_enable_cors_support
        self.timeout_seconds = flags.rest_api_timeout_in_ms / 1000
        self.threads = ThreadPoolExecutor(flags.rest_api_num_threads, thread_name_prefix="rest")
        super().__init__((host, flags.rest_api_port), _Request)

    def server_bind(self) -> None:
        """Binds; what listens to IPv6 listens to IPv4 too."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def answer(self, verb: str, path: str, body: bytes, origin: str) -> Answer:
        """The answer, or a 504 when it takes too long; work that has not begun by then is dropped."""
        end = time.monotonic() + self.timeout_seconds

        def work() -> Answer:
            with callers.waiting(lambda: time.monotonic() < end):
                return self.handler.answer(verb, path, body, origin)

        answered = self.threads.submit(work)
        try:
            return answered.result(self.timeout_seconds if self.timeout_seconds > 0 else None)
        except TimeoutError:
            answered.cancel()
            return Answer(504, json_text.error_text("Timed out waiting for notification"))


class _Request(BaseHTTPRequestHandler):
    """The requests of one connection, whose versions and headers are answered as libevent does."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(_IDLE_SECONDS)

    def _answer(self) -> None:
        try:
            body = self._body()
        except (ValueError, OSError) as error:
            LOG.debug("A request's body cannot be read: %s", error)
            self.send_error(400, "The request's body cannot be read")
            return
        path = path_of(self.requestline)
        if path is None:
            self.send_error(400, "The request line cannot be read")
            return
        answer = self.server.answer(self.command, path, body, self.headers.get("Origin", ""))
        if answer.ends:
            self._end_with(answer)
            return
        cors = _CORS if self.server.cors and path.lower().startswith("/v1/") else {}
        self._reply("HTTP/1.0" if self._is_old else "HTTP/1.1", answer, {**cors, **self._connection()})

    def handle_expect_100(self) -> bool:
        """Says at once that the body may come: what is written else waits for the answer."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answers what cannot be read, or has a verb that nobody knows."""
        self._end_with(Answer(code, json_text.error_text(message or responses.get(code, ""))))

    def __getattr__(self, name: str) -> Callable[[], None]:
        """`do_GET` and its like are one method: what a verb is good for is the handler's to say."""
        if name not in _VERBS:
            raise AttributeError(name)
        return self._answer

    def log_message(self, format: str, *args: object) -> None:
        LOG.debug(format, *args)

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            body = b"".join(self._chunks())
        else:
            body = self.rfile.read(_size(self.headers.get("Content-Length", "0"), 10))
        return _uncompressed(body) if "gzip" in self.headers.get("Content-Encoding", "") else body

    def _chunks(self) -> list[bytes]:
        chunks = []
        while size := _size(self.rfile.readline(_LARGEST_CHUNK_LINE).decode("latin-1").partition(";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline(_LARGEST_CHUNK_LINE)
        while self.rfile.readline(_LARGEST_CHUNK_LINE).strip():
            pass
        return chunks

    @property
    def _is_old(self) -> bool:
        return self.request_version == "HTTP/1.0"

    def _connection(self) -> dict[str, str]:
        """The answer's header where the caller has to be told: HTTP/1.1 stays open, HTTP/1.0 ends, unless asked."""
        asked = self.headers.get("Connection", "").lower()
        if asked == "close":
            return {"Connection": "close"}
        if self._is_old and asked.startswith("keep-alive"):
            self.close_connection = False
            return {"Connection": "keep-alive"}
        return {}

    def _end_with(self, answer: Answer) -> None:
        """What libevent answers by itself is of HTTP/1.1, whatever the request is, and ends the connection."""
        self.close_connection = True
        self._reply("HTTP/1.1", answer, {"Connection": "close"})

    def _reply(self, version: str, answer: Answer, headers: dict[str, str]) -> None:
        self.log_request(answer.status)
        body = answer.body.encode("utf-8", "surrogateescape")
        headers = {
            "Content-Type": answer.content_type,
            "Date": self.date_time_string(),
            "Content-Length": str(len(body)),
            **headers,
        }
        head = [f"{version} {answer.status:d} {responses.get(answer.status, '')}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        self.wfile.write("\r\n".join([*head, "\r\n"]).encode("latin-1"))
        if self.command != "HEAD":
            self.wfile.write(body)


def _size(text: str, base: int) -> int:
    """A count of bytes. Raises `ValueError`."""
    size = int(text, base)
    if size < 0:
        raise ValueError(f"a size should not be negative. Received: {text}")
    return size


def _uncompressed(body: bytes) -> bytes:
    """What was compressed by gzip; nothing where it is not whole or too large, as in TensorFlow Serving."""
    stream = zlib.decompressobj(_GZIP)
    try:
        found = stream.decompress(body, _LARGEST_BODY)
    except zlib.error as error:
        LOG.debug("A request's body cannot be uncompressed: %s", error)
        return b""
    return found if stream.eof else b""


class RestServer:
    """The REST API on a TCP port, in threads of its own."""

    def __init__(self, flags: Namespace, handler: Handler) -> None:
        """Listens. Raises `OSError` when the port is taken."""
        try:
            self._server = _Server(flags, handler, "::")
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
            self._server = _Server(flags, handler, "0.0.0.0")
        self.port = int(self._server.server_address[1])

    def start(self) -> None:
        """Answers until `stop`."""
        threading.Thread(target=self._server.serve_forever, name="rest", daemon=True).start()

    def stop(self, seconds: float) -> None:
        """Takes no new connections; requests under way get `seconds` to finish."""
        self._server.shutdown()
        self._server.server_close()
        done = threading.Thread(target=self._server.threads.shutdown, daemon=True)
        done.start()
        done.join(seconds)
