"""HTTP/1.1 with kept-alive connections, a thread for each."""

import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from serving.rest.handler import Answer, Handler

LOG = logging.getLogger("serving")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, handler: Handler, timeout: float, cors: bool) -> None:
        self.handler = handler
        self.cors = cors
        self.idle_timeout = timeout
        super().__init__(("0.0.0.0", port), _Request)


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.idle_timeout)

    def do_GET(self) -> None:
        self._reply(self.server.handler.answer("GET", self.path, b""))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self.send_error(411)
            return
        self._reply(self.server.handler.answer("POST", self.path, self.rfile.read(int(length))))

    def do_OPTIONS(self) -> None:
        self._reply(Answer(200, ""))

    def log_message(self, format: str, *args: object) -> None:
        LOG.debug(format, *args)

    def _reply(self, answer: Answer) -> None:
        body = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.server.cors:
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Access-Control-Allow-Methods", "POST, GET")
            self.send_header("Access-Control-Allow-Headers", "Content-Type")
        self.end_headers()
        self.wfile.write(body)


class RestServer:
    """The REST API on a TCP port, in threads of its own."""

    def __init__(self, port: int, handler: Handler, timeout: float, cors: bool = False) -> None:
        """Listens. `timeout` is in seconds. Raises `OSError` when the port is taken."""
        self._server = _Server(port, handler, timeout, cors)
        self.port = int(self._server.server_address[1])

    def start(self) -> None:
        """Answers until `stop`."""
        threading.Thread(target=self._server.serve_forever, name="rest", daemon=True).start()

    def stop(self) -> None:
        """Takes no new connections."""
        self._server.shutdown()
        self._server.server_close()
