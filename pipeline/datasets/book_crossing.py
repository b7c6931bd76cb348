"""Book-Crossing from its CSV dump: semicolons, Latin-1, backslash escapes, HTML entities in titles.

The dump lists each reader's books by ISBN. A model that learns from sequences would learn the alphabet, so the
interactions are shuffled once: without times there is no order that means anything. Otherwise the tables keep what is
wrong in the data (year 0, age 244, ISBNs that are none, books that no table knows): cleaning is the pipeline's work,
and the configuration says how.
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
SEED = 42
USERS = {"User-ID": "user_id", "Location": "location", "Age": "age"}


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables `interactions` (shuffled, always alike), `items` and `users`, all columns strings."""
    items = _read(folder / "BX-Books.csv", BOOKS)
    for column in ("title", "author", "publisher"):
        items[column] = items[column].map(html.unescape)
    users = _read(folder / "BX-Users.csv", USERS).replace({"age": {"NULL": ""}})
    interactions = _read(folder / "BX-Book-Ratings.csv", RATINGS).sample(frac=1, random_state=SEED)
    return {"interactions": interactions, "items": items, "users": users}


def _read(path: Path, columns: dict[str, str]) -> pd.DataFrame:
    table = pd.read_csv(
        path, sep=";", dtype=str, keep_default_na=False, encoding="latin-1", escapechar="\\", usecols=list(columns)
    )
    return table[list(columns)].rename(columns=columns)
