"""Malformed requests: every one gets the code of a caller's fault, and the server's memory does not grow.

`FUZZ_REQUESTS=5000 pytest tests/serving/test_fuzz.py tests/e2e/test_serving.py` sends more than the default suite.
"""

import os
from pathlib import Path

from serving.client import RecommenderClient, Request
from serving.server.process import free_port
from tests.serving.fuzz import fuzz, peak_megabytes, unexpected
from tests.serving.models import save_model, serve

COUNT = int(os.environ.get("FUZZ_REQUESTS", "600"))


def test_malformed_requests(base_path: Path) -> None:
    save_model(base_path / "1")
    port = free_port()
    with serve(base_path, f"--rest_api_port={port}") as server, RecommenderClient(server.address, timeout=20) as client:
        client.recommend(Request(k=1))
        before = peak_megabytes(server.process.pid)
        codes = fuzz(server.address, f"127.0.0.1:{port}", "recommender", COUNT, seed=1)
        assert not unexpected(codes), codes
        assert {"OK", "INVALID_ARGUMENT", "REST 200", "REST 400"} <= set(codes), codes
        assert client.recommend(Request(k=1))[0].item_id == "a"
        assert peak_megabytes(server.process.pid) - before < 300
        assert "Traceback" not in server.log.read_text()
