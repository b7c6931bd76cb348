"""A worker or a server that writes down its process id. It imports little, for it is started many times."""

import json
import os
import sys
from pathlib import Path

from trainer.server import serve


def main(folder: Path) -> None:
    """Serves as the process that `TF_CONFIG` names; process ids are lines of a file by role and index."""
    task = json.loads(os.environ["TF_CONFIG"])["task"]
    with (folder / f"{task['type']} {task['index']}").open("a") as file:
        print(os.getpid(), file=file)
    print("serves", flush=True)
    serve()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
