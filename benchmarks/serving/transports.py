"""gRPC's thread pool beside grpc.aio: a service that answers 1 KB at once, so that the transport's own cost shows.

    python -m benchmarks.serving.transports

A graph call would stop an event loop, so that asyncio has to hand it to a thread: `aio, threads` does. The transports
take turns; of their turns the best counts.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from serving.server import GRPC_EXPERIMENTS

os.environ.setdefault("GRPC_EXPERIMENTS", GRPC_EXPERIMENTS)  # gRPC reads it when it is imported

import grpc
import grpc.aio
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.console import plain_table
from benchmarks.serving import processes
from benchmarks.serving.load import Load, Row, row_of, write_requests
from serving.server.process import end_process

_ANSWER: Final = bytes(1000)
_REQUEST: Final = bytes(300)
_THREADS: Final = 8
_TRANSPORTS: Final = ("thread pool", "aio", "aio, threads")


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, answer: Any) -> None:
        self._method = grpc.unary_unary_rpc_method_handler(answer)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return self._method


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table; with `--serve` it is one of the services."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", choices=_TRANSPORTS, help=argparse.SUPPRESS)
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=1.0, help="of each turn")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args(arguments)
    if options.serve:
        _serve(options.serve)
    else:
        Console().print(_table(options))


def _serve(transport: str) -> None:
    if transport == "thread pool":
        server = grpc.server(ThreadPoolExecutor(_THREADS))
        server.add_generic_rpc_handlers((_Handler(lambda request, context: _ANSWER),))
        print(server.add_insecure_port("localhost:0"), flush=True)
        server.start()
        server.wait_for_termination()
    asyncio.run(_serve_asyncio(in_threads=transport == "aio, threads"))


async def _serve_asyncio(in_threads: bool) -> None:
    threads = ThreadPoolExecutor(_THREADS)

    async def answer(request: bytes, context: Any) -> bytes:
        if in_threads:
            return await asyncio.get_running_loop().run_in_executor(threads, lambda: _ANSWER)
        return _ANSWER

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Handler(answer),))
    print(server.add_insecure_port("localhost:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


@contextmanager
def _started(transport: str) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.serving.transports", f"--serve={transport}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        yield f"localhost:{int(process.stdout.readline())}" if process.stdout else ""
    finally:
        end_process(process)


def _table(options: argparse.Namespace) -> Table:
    table = plain_table(("callers", "transport"), ("req/s", "p50 ms", "p99 ms"))
    best: dict[tuple[str, int], Row] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        write_requests(Path(folder), [_REQUEST])
        addresses = {transport: stack.enter_context(_started(transport)) for transport in _TRANSPORTS}
        turns = [(c, t) for _ in range(options.turns) for c in options.callers for t in _TRANSPORTS]
        for callers, transport in track(turns, "turns", transient=True):
            load = Load(addresses[transport], folder, options.seconds, callers)
            row = row_of(load, processes.sample(load), peak_megabytes=0.0)
            before = best.setdefault((transport, callers), row)
            best[transport, callers] = min(before, row, key=lambda r: r.p50)
    for (transport, callers), row in best.items():
        metrics = (f"{row.per_second:,.0f}", f"{row.p50:.2f}", f"{row.p99:.2f}")
        table.add_row(str(callers), transport, *metrics)
    return table


if __name__ == "__main__":
    main()
