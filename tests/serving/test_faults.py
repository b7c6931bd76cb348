"""What goes wrong around a server: broken versions, full disks, clients that stall or vanish, an end under load.

Real processes, real sockets; the last good version answers all the while. 100,000 requests are
`python -m benchmarks.serving.memory`, 10,000 malformed ones `FUZZ_REQUESTS=10000 pytest tests/serving/test_fuzz.py`.
"""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest

from pipeline.push.versions import push_version
from serving.client import RecommenderClient, Request
from serving.server.process import free_port
from tests.serving.models import RunningServer, eventually, save_model, serve

GOOD = 3
THREADS = 4
SLOW_CLIENTS = 3 * THREADS
PUSH = "import sys; from pipeline.push.versions import push_version; push_version(*sys.argv[1:])"
CALLER = """
import sys, threading
from serving.client import RecommenderClient, Request
from serving.server.process import free_port
client = RecommenderClient(sys.argv[1], timeout=60)
def ask():
    while True: client.recommend(Request(k=2))
for _ in range(8): threading.Thread(target=ask).start()
client.recommend(Request(k=2))
print("asking", flush=True)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model directory `recommender`; version 3 of it is good."""
    root = tmp_path_factory.mktemp("faults")
    (root / "recommender").mkdir()
    save_model(root / "recommender" / str(GOOD))
    return root


@pytest.fixture(scope="module")
def rest_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def faulty(root: Path, rest_port: int) -> Iterator[RunningServer]:
    """A server that tries a version which fails again and again, with few threads."""
    retries = ("--max_num_load_retries=1000", "--load_retry_interval_micros=100000")
    threads = (f"--grpc_max_threads={THREADS}", f"--rest_max_connections={2 * SLOW_CLIENTS}")
    with serve(root / "recommender", *retries, *threads, f"--rest_api_port={rest_port}") as running:
        yield running


@pytest.fixture
def asking(faulty: RunningServer) -> Iterator[RecommenderClient]:
    with RecommenderClient(faulty.address, timeout=20.0, attempts=1) as client:
        yield client


def _answering(client: RecommenderClient) -> int:
    """The version that answers, and that it does."""
    assert client.recommend(Request(k=1))[0].item_id == "a"
    return client.metadata().version


def _tried_again(server: RunningServer, version: int) -> bool:
    return len(re.findall(rf"version {version} failed", server.log.read_text())) >= 2


@pytest.mark.parametrize(
    "name", ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]
)
def test_a_truncated_model_does_not_replace_the_last_good_one(
    root: Path, faulty: RunningServer, asking: RecommenderClient, name: str
) -> None:
    version = {"saved_model.pb": 10, "variables/variables.index": 11}.get(name, 12)
    made = shutil.copytree(root / "recommender" / str(GOOD), root / "part")
    os.truncate(made / name, (made / name).stat().st_size // 2)
    made.rename(root / "recommender" / str(version))
    eventually(lambda: _tried_again(faulty, version))
    assert _answering(asking) == GOOD
    shutil.rmtree(root / "recommender" / str(version))
    eventually(lambda: {status.version: status.state for status in asking.status()}[version] == "END")


def test_a_vocabulary_cut_at_a_line_end_does_not_replace_the_last_good_one(
    root: Path, faulty: RunningServer, asking: RecommenderClient
) -> None:
    """TensorFlow loads it without a word: every item after the cut would be another."""
    model = shutil.copytree(root / "recommender" / str(GOOD), root / "with-items")
    items = model / "assets" / "item_id"
    items.parent.mkdir(exist_ok=True)
    items.write_text("".join(f"{item}\n" for item in range(1682)))
    made = root / "pushed" / push_version(str(model), str(root / "pushed"))[1]
    (made / "assets" / "item_id").unlink()  # a second name of the model's own file
    (made / "assets" / "item_id").write_text("".join(f"{item}\n" for item in range(1200)))
    bad = root / "recommender" / "15"
    made.rename(bad)
    eventually(lambda: _tried_again(faulty, 15))
    assert _answering(asking) == GOOD
    assert f"{bad}/assets/item_id is not what was pushed: its SHA-256 is another than" in faulty.log.read_text()
    shutil.copy(items, bad / "assets")
    eventually(lambda: _answering(asking) == 15)
    shutil.rmtree(bad)
    eventually(lambda: _answering(asking) == GOOD)


def test_a_version_that_is_being_copied_is_taken_when_it_is_whole(
    root: Path, faulty: RunningServer, asking: RecommenderClient
) -> None:
    good, half = root / "recommender" / str(GOOD), root / "recommender" / "20"
    half.mkdir()
    shutil.copytree(good / "variables", half / "variables")
    eventually(lambda: _tried_again(faulty, 20))
    assert _answering(asking) == GOOD
    shutil.copy(good / "saved_model.pb", half)
    eventually(lambda: _answering(asking) == 20)
    shutil.rmtree(half)  # while it serves
    eventually(lambda: _answering(asking) == GOOD)


@pytest.fixture
def other_disk() -> Iterator[Path]:
    """A folder of another file system, between which a push copies: links need no room."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_a_push_onto_a_full_disk_leaves_the_last_good_version_and_nothing_else(
    root: Path, asking: RecommenderClient, other_disk: Path
) -> None:
    model = shutil.copytree(root / "recommender" / str(GOOD), other_disk / "model")
    size = max(file.stat().st_size for file in model.rglob("*"))

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, size - 1))

    base = root / "recommender"
    before = sorted(base.iterdir())
    pushed = subprocess.run(
        [sys.executable, "-B", "-c", PUSH, str(model), str(base)], preexec_fn=no_room, capture_output=True, text=True
    )
    assert pushed.returncode == 1
    assert re.search("File too large|RESOURCE_EXHAUSTED|ResourceExhausted", pushed.stderr), pushed.stderr
    assert sorted(base.iterdir()) == before
    assert _answering(asking) == GOOD


def test_a_client_that_vanishes_leaves_nothing_behind(faulty: RunningServer, asking: RecommenderClient) -> None:
    asking.recommend(Request(k=1))
    before = _open_files(faulty)
    caller = subprocess.Popen([sys.executable, "-c", CALLER, faulty.address], stdout=subprocess.PIPE)
    try:
        assert caller.stdout is not None
        assert caller.stdout.readline() == b"asking\n"
        assert _open_files(faulty) > before
    finally:
        caller.kill()
        caller.wait()
    eventually(lambda: _open_files(faulty) <= before)
    assert _answering(asking) == GOOD


def _open_files(server: RunningServer) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def test_slow_clients_do_not_keep_others_waiting(
    faulty: RunningServer, asking: RecommenderClient, rest_port: int
) -> None:
    status = f"http://localhost:{rest_port}/v1/models/recommender"
    post = b"POST /v1/models/recommender:predict HTTP/1.1\r\nContent-Length: 100\r\n\r\n{"
    with ExitStack() as stack:
        for port, request in ((faulty.port, half_a_request()), (rest_port, post)):
            for _ in range(SLOW_CLIENTS):
                connection = stack.enter_context(socket.create_connection(("localhost", port)))
                connection.sendall(request)
        time.sleep(0.3)
        started = time.monotonic()
        assert _answering(asking) == GOOD
        assert urlopen(status, timeout=20).status == 200
        assert time.monotonic() - started < 10


def half_a_request() -> bytes:
    """HTTP/2: a call of Predict whose message is announced as 100 bytes, of which one comes."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/tensorflow.serving.PredictionService/Predict",
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    texts = ((name.encode(), value.encode()) for name, value in headers.items())
    block = b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in texts)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    message = b"\0" + (100).to_bytes(4, "big") + b"\n"
    return preface + _frame(4, 0, 0, b"") + _frame(1, 4, 1, block) + _frame(0, 0, 1, message)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def test_memory_does_not_grow_with_the_requests(faulty: RunningServer, asking: RecommenderClient) -> None:
    with ThreadPoolExecutor(4) as callers:
        list(callers.map(lambda _: asking.recommend(Request(k=2)), range(500)))
        before = _resident_megabytes(faulty)
        list(callers.map(lambda _: asking.recommend(Request(k=2)), range(2000)))
    assert _resident_megabytes(faulty) - before < 8  # 4 KB a request


def _resident_megabytes(server: RunningServer) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


def test_the_end_answers_every_request_that_was_accepted(root: Path) -> None:
    """Nothing is tried again: callers got as many answers as the server gave; what it turned away has its own codes."""
    with serve(root / "recommender") as server, RecommenderClient(server.address, timeout=60.0, attempts=1) as client:
        with ThreadPoolExecutor(16) as callers:
            answers = [callers.submit(client.recommend, Request(k=2)) for _ in range(2000)]
            eventually(lambda: sum(answer.done() for answer in answers) > 200)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(timeout=30) == 0
        codes = Counter(map(_code, answers))
        assert set(codes) <= {"OK", "UNAVAILABLE", "CANCELLED"}
        assert f"Requests answered: {codes['OK']}\n" in server.log.read_text()


def _code(answer: "Future[object]") -> str:
    error = answer.exception(timeout=30)
    return "OK" if error is None else str(getattr(error, "code", error))
