"""Tables, their columns, cleaning and splitting: what ingest reads and how."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from config.base import Section

TableFormat = Literal["csv", "parquet", "jsonl", "tfrecord"]
TimeUnit = Literal["s", "ms", "us", "ns", "iso8601"]
SplitMethod = Literal["global_time", "leave_last_out", "random", "user_hash"]


def _check_time_format(value: str) -> str:
    """Raises ValueError for a format that `strptime` does not know."""
    if "%" not in value:
        raise ValueError('should hold directives of strptime, such as "%d/%m/%Y %I:%M:%S %p"')
    try:
        datetime.strptime("", value)
    except ValueError as error:
        if "does not match" not in str(error):
            raise ValueError(f"is no format of strptime ({error})") from error
    return value


TimeFormat = Annotated[str, AfterValidator(_check_time_format)]

MISSING: Final = ("NULL", "null", "\\N", "NaN", "nan", "<NA>", "None")
"""What databases, pandas and Spark write for a value that is missing."""


class Table(Section):
    """One table: a file, a glob or a folder of parts, relative to `data.folder`, local or on an object store.

    `path` may hold TFX's `{SPAN}` and `{VERSION}`; the newest span is read. A path that names a file or folder as it
    stands is that, whatever `*`, `?` and `[` it holds. Of a folder, as Spark and Hive write tables, all files are read
    but those whose names begin with `_` or `.`; folders such as `date=2024-05-01` in the path are columns.
    """

    path: str
    format: TableFormat | None = None
    """Found from the extension when missing (.csv, .tsv, .parquet, .jsonl, .tfrecord, each also with .gz). `jsonl`
    reads JSON lines, one array of objects, and objects over several lines."""
    columns: tuple[str, ...] | None = Field(default=None, min_length=1)
    """CSV only: the names of the columns, in their order, of files without a header. Missing: the first line names
    them."""
    separator: str | None = Field(default=None, min_length=1)
    """CSV only: one or more characters, such as `"::"`. A tab is written "\\t", in double quotes. Missing: a comma,
    in a .tsv a tab."""
    quote: str | None = '"'
    """CSV only: one ASCII character around values that hold separators. null: quotes are plain text."""
    escape: str | None = None
    """CSV only: one ASCII character, such as `"\\\\"`, after which a quote or a separator is plain text. Missing: a
    quote in a quoted value is written twice."""
    multiline: bool = False
    """CSV only: whether quoted values may span lines. If not, the first that does stops the run: most often a stray
    quote took the rows up to the next quote for its text."""
    encoding: str = "utf-8"
    """CSV and JSON lines only. A byte order mark is read by itself."""
    decimal: Literal[".", ","] = "."
    """What stands before the decimals of numbers that are text."""
    missing: tuple[str, ...] = MISSING
    """Words that stand for a missing value, as they are written, in every column: of ids, categories, lists, texts,
    numbers and times. Blank is always missing. `NA`, `N/A` and `none` are left out, since they may be values (Namibia's
    country code); in numbers and times, where they can be none, they are missing too."""
    time_unit: TimeUnit | None = None
    """Of features of the kind `time`. Missing, without `time_format` too: as in the interactions."""
    time_format: TimeFormat | None = None
    """Of times that are text and not ISO 8601, as strptime has it: `"%d/%m/%Y %I:%M:%S %p"`. Times without a zone are
    UTC."""

    @field_validator("quote", "escape")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or not value.isascii() or value in "\0\r\n"):
            raise ValueError("should be one ASCII character, no line end")
        return value

    @field_validator("separator")
    @classmethod
    def _in_one_line(cls, value: str | None) -> str | None:
        if value is not None and (set(value) & set("\0\r\n") or (value.startswith("\\") and len(value) > 1)):
            raise ValueError('should be plain characters, no line end (a tab is "\\t", in double quotes)')
        return value

    @field_validator("missing", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        unquoted = [word for word in value if word is None or isinstance(word, bool)]
        if unquoted:
            raise ValueError(f"should be words; to YAML one of them is {unquoted[0]!r}: put it in quotes")
        return [str(word) if isinstance(word, int | float) else word for word in value]

    @model_validator(mode="after")
    def _marks_differ(self) -> Self:
        if self.quote is not None and self.quote in self.delimiter:
            raise ValueError(f"`quote` should not be `separator`. Received: {self.quote!r} for both")
        if self.escape is not None and self.escape in (self.quote or "") + self.delimiter:
            raise ValueError(f"`escape` should be neither `quote` nor `separator`. Received: {self.escape!r}")
        return self

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        twice = [name for name in self.columns or () if (self.columns or ()).count(name) > 1]
        if twice:
            raise ValueError(f"`columns` should not name a column twice. Received: {twice[0]!r}")
        return self

    @model_validator(mode="after")
    def _one_form_of_times(self) -> Self:
        if self.time_format is not None and "time_unit" in self.model_fields_set:
            raise ValueError(f"`time_unit` should be left out beside `time_format`. Received: {self.time_unit!r}")
        return self

    @property
    def times(self) -> str | None:
        """As `InteractionTable.times`; None: as there."""
        return self.time_format or self.time_unit

    @property
    def ids(self) -> tuple[str, ...]:
        """The columns of ids, which other tables name too."""
        return ()

    @property
    def delimiter(self) -> str:
        """What stands between the values of a CSV file's rows."""
        if self.separator is not None:
            return self.separator
        return "\t" if self.path.removesuffix(".gz").endswith(".tsv") else ","


class InteractionTable(Table):
    """One row per event."""

    user: str = "user_id"
    item: str = "item_id"
    time: str | None = "timestamp"
    """Missing (null): the events of a user stand in the order of their rows."""
    time_unit: TimeUnit = "s"
    """Of times that are numbers, since 1970; `iso8601`: of text such as 2024-05-01T12:30:00Z or 2024-05-01 12:30 UTC.
    Not beside `time_format`."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The columns of users and items."""
        return self.user, self.item

    @property
    def times(self) -> str:
        """How times are written: a `TimeUnit`, or a format of strptime, which holds a `%`."""
        return self.time_format or self.time_unit


class EntityTable(Table):
    """One row per item or user."""

    id: str

    @property
    def ids(self) -> tuple[str, ...]:
        """The id's column."""
        return (self.id,)


class DataConfig(Section):
    """Where the tables are."""

    folder: str
    """Relative to the working directory; a URI such as gs://bucket/folder works too."""
    dataset: Literal["movielens-100k", "book-crossing"] | None = None
    """A public data set that `tfx_runner.py data` writes into `folder`."""
    interactions: InteractionTable
    items: EntityTable | None = None
    users: EntityTable | None = None
    max_side_table_rows: int = Field(default=5_000_000, gt=0)
    """What travels to every worker whole, the items that `cleaning.core` removes; more than this stop the run."""


class Outlier(Section):
    """What happens to values of a numeric column outside [min, max]."""

    column: str
    min: float | None = None
    max: float | None = None
    action: Literal["drop", "clip"] = "drop"


class Core(Section):
    """Keep users and items with at least so many events, counted again after every round of removals."""

    users: int = Field(default=1, ge=1)
    items: int = Field(default=1, ge=1)
    rounds: int = Field(default=8, ge=1)


class CleaningConfig(Section):
    """Which rows are bad, and how many bad rows are too many."""

    duplicates: Literal["drop", "keep"] = "drop"
    """Rows with the same user, item and time (without time: the same user and item) that say the same to tasks and
    event features: the first stays. A view and a purchase in the same second are two events where a label, `positive`,
    a `where` or a feature tells them apart."""
    outliers: tuple[Outlier, ...] = ()
    core: Core | None = None
    unseen_items: Literal["keep", "drop"] = "keep"
    """Rows of the items table that no event names, after all other cleaning: cold items that the model can
    recommend by their content, or no part of the catalogue."""
    max_future_days: float | None = Field(default=1, ge=0)
    """Events later than so many days after ingest began are bad rows: nothing can have happened then. null: all are
    kept, for logs that were made up."""
    min_overlap: float = Field(default=0.8, ge=0, le=1)
    """Events whose item is in the items table, and events whose user is in the users table, as a share of all: a
    smaller one is a warning, none at all stops the run. Most often ids are written in two ways. 0: neither."""
    max_bad_share: float = Field(default=0.05, ge=0, le=1)
    """Rows with a missing key or a value that cannot be read, as a share of all rows, that stops the run.
    Duplicates, outliers and core removals are counted but not bad."""


class Fold(Section):
    """One fold of a cross-validation (`tfx_runner.py crossval` sets it).

    `random` and `user_hash`: the rows or users are in `of` equal parts, of which one tests. `global_time`: the log is
    in `of` + 1 equal parts by time; the fold tests on part `number` + 1 and sees nothing later, an expanding window.
    `leave_last_out`: each user's last `of` - `number` events are left out, so that every fold tests one event earlier
    than the next.
    """

    number: int = Field(ge=1)
    """Counted from 1."""
    of: int = Field(ge=2)

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "Fold":
        if self.number > self.of:
            raise ValueError(f"`number` should be at most `of` ({self.of}). Received: {self.number}")
        return self


class ColdItems(Section):
    """Items that are held out of training, to see how well new ones are recommended."""

    share: float = Field(default=0.1, gt=0, lt=1)
    """Of the items; a hash of the id and the seed chooses."""
    seed: int = Field(default=42, ge=0)


class SplitConfig(Section):
    """How events are divided into train, eval and test."""

    method: SplitMethod = "leave_last_out"
    eval_share: float = Field(default=0.1, gt=0, lt=1)
    test_share: float = Field(default=0.1, gt=0, lt=1)
    """Shares are of rows (`global_time`, `random`) or of users (`user_hash`); `leave_last_out` needs none."""
    seed: int = Field(default=42, ge=0)
    ties: Literal["rows", "random"] = "rows"
    """A user's events at the same time (all of them in a log without times) stand in the order of their rows, or in
    a random one, which is right where the rows were sorted by something else than time, such as the item."""
    max_permutation_rows: int = Field(default=20_000_000, gt=0)
    """`random`: up to so many rows are divided by NumPy's permutation, exactly; more by a hash of each row's place."""
    history: Literal["frozen", "rolling"] = "rolling"
    """What an eval or test example sees: `frozen`, train events only; `rolling`, every event before it. With `random`
    both see train events only: `frozen` those before and after it, the nearest ones, as factorised matrices do (to
    compare ratings with theirs; recommendations would know the future); `rolling` those before it. (A log without
    times has no before.)"""
    cold_items: ColdItems | None = None
    """A share of the items loses all its train and eval events, as targets and in histories, and is met in test
    alone: what the evaluation says of cold items. None where missing."""
    fold: Fold | None = None
    """Of a cross-validation: `test_share` follows from it, and `eval_share` is of the events that the fold sees."""

    @property
    def tested(self) -> float:
        """The share of the rows or users that test: the fold's, or else `test_share`."""
        if self.fold is None:
            return self.test_share
        return 1 / (self.fold.number + 1 if self.method == "global_time" else self.fold.of)

    @model_validator(mode="after")
    def _shares_leave_something_to_train(self) -> "SplitConfig":
        if self.fold is not None and self.eval_share + self.tested >= 1:
            limit = f"below {1 - self.tested:g}, what fold {self.fold.number} does not test on"
            raise ValueError(f"`eval_share` should be {limit}. Received: {self.eval_share}")
        if self.fold is None and self.eval_share + self.test_share >= 1:
            raise ValueError(
                f"`eval_share` + `test_share` should be below 1. Received: {self.eval_share} + {self.test_share}"
            )
        return self
