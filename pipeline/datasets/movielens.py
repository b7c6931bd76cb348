"""MovieLens 100K from RecBole's atomic files: tab-separated, each column's name followed by its type."""

import csv
from pathlib import Path

import pandas as pd


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables `interactions`, `items` and `users`, all columns strings, in the order of the files' rows."""
    items = _read(folder / "ml-100k.item").rename(
        columns={"movie_title": "title", "release_year": "year", "class": "genres"}
    )
    items["genres"] = items["genres"].str.replace(" ", "|")
    return {"interactions": _read(folder / "ml-100k.inter"), "items": items, "users": _read(folder / "ml-100k.user")}


def _read(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
    return table.rename(columns=lambda column: column.split(":")[0])
