"""HTTP/1 with kept-alive connections: a thread for each, and a pool of threads that answer."""

import errno
import logging
import socket
import threading
import time
import zlib
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from http.server import ThreadingHTTPServer
from socketserver import StreamRequestHandler
from typing import BinaryIO, Final, cast

from serving import callers
from serving.rest import json_text
from serving.rest.handler import Answer, Handler
from serving.rest.http_request import EndedError, Reader, RefusedError, Request
from serving.rest.http_response import response

LOG = logging.getLogger("serving")

_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}
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
        super().__init__((host, flags.rest_api_port), _Connection)

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


class _Connection(StreamRequestHandler):
    """The requests of one connection, one after the other."""

    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        """Answers until the connection ends."""
        self.connection.settimeout(_IDLE_SECONDS)
        reader = Reader(cast(BinaryIO, self.rfile), self._send_continue)
        try:
            while self._answer(reader):
                pass
        except (EndedError, OSError) as error:
            LOG.debug("A connection ends: %s", error)

    def _answer(self, reader: Reader) -> bool:
        """Whether the connection stays."""
        request, more = Request(), dict[str, str]()
        try:
            path = reader.read(request).path
            more = _CORS if self.server.cors and path.lower().startswith("/v1/") else {}
            answer = self.server.answer(request.method, path, _body(request), request.headers.get("origin", ""))
        except RefusedError as error:
            answer = Answer(error.status, json_text.error_text(str(error)), ends=True)
        data, stays = response(request, answer, {} if answer.ends else more)
        self.wfile.write(data)
        return stays

    def _send_continue(self, request: Request) -> None:
        """Says that the body may come, unless it comes already."""
        self.connection.settimeout(0)
        is_there = self.rfile.peek(1)  # type: ignore[attr-defined]
        self.connection.settimeout(_IDLE_SECONDS)
        if not is_there:
            self.wfile.write(f"HTTP/1.{request.version[1]} 100 Continue\r\n\r\n".encode())


def _body(request: Request) -> bytes:
    is_compressed = "gzip" in request.headers.get("content-encoding", "")
    return _uncompressed(request.body) if is_compressed else request.body


def _uncompressed(body: bytes) -> bytes:
    """What was compressed by gzip; nothing where that is not whole, too large or not all, as in TensorFlow Serving."""
    stream = zlib.decompressobj(_GZIP)
    try:
        found = stream.decompress(body, _LARGEST_BODY)
    except zlib.error as error:
        LOG.debug("A request's body cannot be uncompressed: %s", error)
        return b""
    return found if stream.eof and not stream.unused_data else b""


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
