"""A batch through its cleaner, with one error for a column whose type the cleaner cannot read."""

from collections.abc import Callable

import pyarrow as pa

from pipeline.ingest.findings import Findings
from pipeline.ingest.literals import ListError
from pipeline.ingest.reading import Batch
from pipeline.ingest.tables import TableError

Clean = Callable[[Batch, int, int], tuple[pa.Table, Findings]]
"""From a batch, the index of its file and the position of its first row to clean rows and what was found."""


def cleaned(clean: Clean, path: str, batch: Batch, file: int, first_row: int) -> tuple[pa.Table, Findings]:
    """The batch's clean rows. Raises `TableError` for a column of a type that cannot be read as configured."""
    try:
        return clean(batch, file, first_row)
    except ListError as error:
        raise TableError(f"{path}: {error}") from error
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        types = ", ".join(f"{field.name} ({field.type})" for field in batch.rows.schema)
        raise TableError(
            f"{path}: a column cannot be read as the configuration says ({error}). "
            f"Change its type or its use. Columns: {types}"
        ) from error
