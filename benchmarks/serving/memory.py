"""Whether the server's memory grows with the requests that it answered.

python -m benchmarks.serving.memory --requests 100000
"""

import argparse
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.apart import megabytes
from benchmarks.serving import processes
from benchmarks.serving.load import Load

_CALLERS = 8


def main() -> None:
    """Prints the resident memory after every few seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="between two looks at the memory")
    arguments = parser.parse_args()
    console = Console()
    table = Table("requests", "resident MB", title=f"1,682 items, {_CALLERS} callers")
    with (
        tempfile.TemporaryDirectory(prefix="bench-memory-") as name,
        Progress(console=console, transient=True) as progress,
    ):
        folder = Path(name)
        processes.prepare(folder, "--items=1682")
        task = progress.add_task("requests", total=arguments.requests)
        with (folder / "server.log").open("w+") as log, processes.embedded(folder, log) as server:
            answered = 0
            while answered < arguments.requests:
                load = Load(server.address, str(folder), arguments.seconds, _CALLERS)
                answered += len(processes.sample(load).milliseconds)
                table.add_row(f"{answered:,}", f"{megabytes(server.pid)[1]:,.1f}")
                progress.update(task, completed=answered)
    console.print(table)


if __name__ == "__main__":
    main()
