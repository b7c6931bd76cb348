"""What killed runs left among the artifacts: found by the metadata, and removed before the next run begins."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import logging
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata

_EXECUTION: Any = metadata_store_pb2.Execution  # type: ignore[attr-defined]
_UNDER_WAY = (_EXECUTION.NEW, _EXECUTION.RUNNING)


def remove_leftovers(root: Path, connection: Any, run_id: str) -> Iterator[str]:
    """Removes what no component will look at again; only for a run that nothing else runs beside.

    Executions that are said to be under way are marked as cancelled, and their folders go: half-written outputs with
    what Beam has put between them. Where the metadata know of no execution, but there are artifacts, these are moved
    aside: new executions are numbered from 1 again, and would write among the files of old ones.

    Args:
      root: The pipeline's root: `<root>/<component>/<output>/<execution>`.
      connection: To its metadata.
      run_id: Of the run that begins; names the folder that is moved aside.

    Yields:
      What a person should know of it, in sentences.
    """
    with metadata.Metadata(connection) as handle:
        executions = handle.store.get_executions()
        killed = [execution for execution in executions if execution.last_known_state in _UNDER_WAY]
        for execution in killed:
            execution.last_known_state = _EXECUTION.CANCELED
        handle.store.put_executions(killed)
    if not executions and root.is_dir() and any(root.iterdir()):
        aside = root.with_name(f"{root.name}-before-{run_id}")
        root.rename(aside)
        yield f"no metadata tell of the artifacts in {root}: they were moved to {aside}. Remove it when nobody needs it"
        return
    for execution in killed:
        for pattern in (f"*/*/{execution.id}", f"*/.system/*/{execution.id}"):
            for folder in root.glob(pattern):
                logging.info("Removing %s, which a killed run left.", folder)
                shutil.rmtree(folder)
    for folder in root.glob("*/.system/stateful_working_dir/*"):  # of executions that failed or were killed
        shutil.rmtree(folder)
