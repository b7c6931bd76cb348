"""Book-Crossing from its CSV dump: semicolons, Latin-1, backslash escapes, HTML entities in titles.

The tables keep what is wrong in the data (year 0, age 244, ISBNs that are none, books that no table knows): cleaning
is the pipeline's work, and the configuration says how. So does it of the order: the dump lists a reader's books by
ISBN, which means nothing (`split.ties: random`).
"""

import html
from pathlib import Path

import pandas as pd

RATINGS = {"User-ID": "user_id", "ISBN": "item_id", "Book-Rating": "rating"}
BOOKS = {
    "ISBN": "item_id",
    "Book-Title": "title",
    "Book-Author": "author",
    "Year-Of-Publication": "year",
    "Publisher": "publisher",
}
USERS = {"User-ID": "user_id", "Location": "location", "Age": "age"}


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables `interactions`, `items` and `users`, all columns strings, in the order of the files' rows."""
    items = _read(folder / "BX-Books.csv", BOOKS)
    for column in ("title", "author", "publisher"):
        items[column] = items[column].map(html.unescape)
    users = _read(folder / "BX-Users.csv", USERS).replace({"age": {"NULL": ""}})
    return {"interactions": _read(folder / "BX-Book-Ratings.csv", RATINGS), "items": items, "users": users}


def _read(path: Path, columns: dict[str, str]) -> pd.DataFrame:
    table = pd.read_csv(
        path, sep=";", dtype=str, keep_default_na=False, encoding="latin-1", escapechar="\\", usecols=list(columns)
    )
    return table[list(columns)].rename(columns=columns)
