"""HTTP as libevent 2.1.12 speaks it: what its http.c takes for a request, and how it lays out a response."""

import re

import pytest

from tests.serving.conformance.servers import Server

HALF = "/v1/models/half_plus_two"
BODY = '{"instances": [1]}'
CHUNK = f"{len(BODY):x}"
END = "Connection: close\r\n"
LENGTH = f"Content-Length: {len(BODY)}\r\n"
LAST = f"GET {HALF} HTTP/1.1\r\n{END}\r\n"


def statuses(server: Server, text: str) -> list[int]:
    """Of all the answers until the connection is closed."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[0-9] ([0-9]+) ", server.say(text.encode("latin-1")))]


@pytest.mark.parametrize(
    ("chunks", "status"),
    [
        (f"{CHUNK}\r\n{BODY}\r\n0\r\n\r\n", 200),
        (f"{CHUNK}\n{BODY}\n0\n\n", 200),
        (f"{CHUNK}\r\n{BODY}0\r\n\r\n", 200),
        (f"\r\n\r\n 0x{CHUNK} ;a=b\r\n{BODY}\r\n0\r\n\r\n", 200),
        (f"{CHUNK}\r\n{BODY}\r\n0\r\nX: y\r\n\r\n", 200),
        (f"{CHUNK}\r\n{BODY}\r\n0\r\ny\r\n\r\n", 413),
        (f"{CHUNK}\r\n{BODY}more\r\n0\r\n\r\n", 413),
        (f"{CHUNK};a=b\r\n", 413),
        ("zz\r\n", 413),
        ("-1\r\n", 413),
    ],
)
def test_chunks(server: Server, chunks: str, status: int) -> None:
    """evhttp_handle_chunked_read."""
    head = f"POST {HALF}:predict HTTP/1.1\r\n{END}Transfer-Encoding: Chunked\r\n{LENGTH}\r\n"
    assert statuses(server, head + chunks) == [status]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (LENGTH, 200),
        ("content-length:  +018  \r\n", 200),
        (f"{LENGTH}Content-Length: x\r\n", 200),
        (f"Transfer-Encoding: gzip, chunked\r\n{LENGTH}", 200),
        ("", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: 18x\r\n", 400),
        ("Content-Length: 1_8\r\n", 400),
        ("Content-Length: \r\n", 400),
        (f"Content-Length: x\r\n{LENGTH}", 400),
        ("Content-Length : 18\r\n", 400),
    ],
)
def test_the_length_of_a_body(server: Server, headers: str, status: int) -> None:
    """evhttp_get_body_length: the first header of a name counts; without a length there is no body."""
    assert statuses(server, f"POST {HALF}:predict HTTP/1.1\r\n{END}{headers}\r\n{BODY}") == [status]


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ("", [200, 200]),
        (": x\r\nA : x\r\nA: x\r y\r\n", [200, 200]),
        ("A: \0 what follows a NUL is not read: of this, that is a name without its colon\r\n", [200, 200]),
        ("\0\r\n", [200, 400]),
        ("Connection: \r\n\tclose\r\n", [200, 200]),
        ("Connection: close, keep-alive\r\n", [200, 200]),
        ("Connection: CLOSE\r\n", [200]),
        ("A\r\n", [400]),
        (" A: x\r\n", [400]),
        ("A: x\ry\r\n", [400]),
        ("A\r: x\r\n", [400]),
        ("A: x\r\r\n", [400]),
    ],
)
def test_headers(server: Server, headers: str, found: list[int]) -> None:
    """evhttp_parse_headers_; a NUL ends a line, as in C."""
    assert statuses(server, f"GET {HALF} HTTP/1.1\r\n{headers}\r\n{LAST}") == found


def test_headers_may_be_many_and_long(server: Server) -> None:
    headers = "".join(f"A{number}: {'x' * 300}\r\n" for number in range(300)) + f"B: {'x' * 70000}\r\n"
    assert statuses(server, f"GET {HALF} HTTP/1.1\r\n{headers}\r\n{LAST}") == [200, 200]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"GET {HALF} HTTP/1.1  ", [200, 200]),
        (f"GET {HALF} HTTP/1.7", [200, 200]),
        (f"GET {HALF} HTTP/01.01", [200, 200]),
        (f"GET {HALF} HTTP/2.0", [400]),
        (f"GET {HALF} HTTP/1", [400]),
        (f"GET {HALF} HTTP/1.1x", [400]),
        (f"GET {HALF} http/1.1", [400]),
        (f"GET {HALF}", [400]),
        (f"GET  {HALF} HTTP/1.1", [400]),
        (f"GET {HALF}  HTTP/1.1", [400]),
        (f" GET {HALF} HTTP/1.1", [501]),  # its method is empty
        (f"\r\nGET {HALF} HTTP/1.1", [400]),
        ("", [400]),
        ("GETX  HTTP/1.1", [400]),
        (f"get {HALF} HTTP/1.1", [501]),
        (f"FOO {HALF}| HTTP/1.1", [501]),
        ("FOO a:b HTTP/1.1", [501]),
        ("FOO 1:b HTTP/1.1", [400]),
        (f"FOO http://[::1{HALF} HTTP/1.1", [400]),
        (f"GET ftp://[::1]:{HALF} HTTP/1.1", [200, 200]),
        (f"GET ftp://[v1.x]:65535{HALF} HTTP/1.1", [200, 200]),
        (f"GET ftp://[1.2.3.4]{HALF} HTTP/1.1", [400]),
        (f"GET ftp://h:65536{HALF} HTTP/1.1", [400]),
        (f"HEAD {HALF} HTTP/1.1", [400, 200]),
    ],
)
def test_request_lines(server: Server, line: str, found: list[int]) -> None:
    """evhttp_parse_request_line, evhttp_uri_parse_with_flags, evhttp_handle_request."""
    assert statuses(server, f"{line}\r\n\r\n{LAST}") == found


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (f"Expect: 100-Continue\r\n{LENGTH}", [200]),
        (f"Expect: tea\r\n{LENGTH}", [417]),
        ("Expect: tea\r\n", [400]),
        ("Expect: 100-continue\r\n", [400]),
    ],
)
def test_nobody_is_told_to_go_on_who_does_or_has_nothing_to_say(server: Server, headers: str, found: list[int]) -> None:
    """evhttp_get_body."""
    assert statuses(server, f"POST {HALF}:predict HTTP/1.1\r\n{END}{headers}\r\n{BODY}") == found


STATUS = f"GET {HALF}/versions/9"
HEAD = "404 Not Found\nContent-Type: application/json\n"
SIZE = "Content-Length: 66"
RESPONSES = {
    f"{STATUS} HTTP/1.1\r\n{END}": f"HTTP/1.1 {HEAD}Date: \n{SIZE}\nConnection: close",
    f"{STATUS} HTTP/1.0\r\n": f"HTTP/1.0 {HEAD}".rstrip(),
    f"{STATUS} HTTP/1.0\r\n{END}": f"HTTP/1.0 {HEAD}Connection: close",
    f"GET http://x{HALF}/versions/9 HTTP/1.1\r\n": f"HTTP/1.1 {HEAD}Date: \n{SIZE}",
    f"GET http://x{HALF}/versions/9 HTTP/1.1\r\nProxy-Connection: keep-alive\r\n": f"HTTP/1.1 {HEAD}Date: \n{SIZE}",
    f"GET HTTPS://x{HALF}/versions/9 HTTP/1.0\r\nConnection: keep-alive\r\n": f"HTTP/1.0 {HEAD}{SIZE}",
    f"OPTIONS {HALF} HTTP/1.1\r\n{END}": (
        "HTTP/1.1 400 Bad Request\nDate: \nContent-Length: 0\nContent-Type: text/html; charset=ISO-8859-1\n"
        "Connection: close"
    ),
}


@pytest.mark.parametrize("request_text", RESPONSES)
def test_the_head_of_a_response(server: Server, request_text: str) -> None:
    """evhttp_make_header_response; a request to a host by http or https is one to a proxy, and ends the connection."""
    head = server.say(f"{request_text}\r\n".encode()).partition(b"\r\n\r\n")[0].decode()
    assert re.sub("Date: .*", "Date: ", head.replace("\r", "")) == RESPONSES[request_text]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("GET /others HTTP/1.0\r\n", ["Content-Type", "Connection: close", "Date", "Content-Length"]),
        (f"GET /others HTTP/1.1\r\n{END}", ["Content-Type", "Date", "Content-Length", "Connection: close"]),
        ("GET http://x HTTP/1.1\r\n", ["Content-Type", "Date", "Content-Length"]),
    ],
)
def test_the_headers_of_an_error_page(server: Server, asked: str, expected: list[str]) -> None:
    """evhttp_send_page_."""
    lines = server.say(f"{asked}\r\n".encode()).partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 404 Not Found"
    assert [line if line.startswith("Connection") else line.partition(":")[0] for line in lines[1:]] == expected
