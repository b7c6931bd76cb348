"""The public data sets of the example configurations: fetched on demand, checked, written as plain tables.

Usage: `fetch("movielens-100k", Path("data/movielens-100k"))`.
"""

from pipeline.datasets.fetch import Fetched, fetch
from pipeline.datasets.sources import SOURCES, DatasetError, Source

__all__ = ["SOURCES", "DatasetError", "Fetched", "Source", "fetch"]
