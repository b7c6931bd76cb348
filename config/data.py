"""Tables, their columns, cleaning and splitting: what ingest reads."""

from datetime import date, datetime
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
"""What databases, pandas and Spark write for a missing value."""


class Table(Section):
    """One table: a file, a glob or a folder of parts, relative to `data.folder`, local or on an object store.

    `path` may contain TFX's `{SPAN}`, or `{YYYY}`, `{MM}` and `{DD}`, and `{VERSION}`: the newest version of the newest
    span is read, and of the interactions a `window` of spans. A path that is the name of an existing
    file or folder is taken literally, even if it contains `*`, `?` or `[`. In a folder, as Spark and Hive write tables,
    all files are read except those whose names begin with `_` or `.`; folders such as `date=2024-05-01` in the path
    become columns.
    """

    path: str
    """The path of the table."""
    format: TableFormat | None = None
    """Defaults to the format of the extension (.csv, .tsv, .parquet, .jsonl, .tfrecord, each optionally with .gz).
    `jsonl` reads JSON lines, a single array of objects, and objects that span several lines."""
    columns: tuple[str, ...] | None = Field(default=None, min_length=1)
    """CSV only: the names of the columns, in order, for files without a header. Defaults to the names in the first
    line."""
    separator: str | None = Field(default=None, min_length=1)
    """CSV only: one or more characters, such as `"::"`. A tab is written "\\t", in double quotes. Defaults to a comma,
    and in a .tsv to a tab."""
    quote: str | None = '"'
    """CSV only: one ASCII character around values that contain separators. null: quotes are plain text."""
    escape: str | None = None
    """CSV only: one ASCII character, such as `"\\\\"`, that makes the next quote or separator plain text. By default, a
    quote in a quoted value is doubled."""
    multiline: bool = False
    """CSV only: whether quoted values may span lines. If not, the first one that does stops the run, since a stray
    quote usually makes the rows up to the next quote part of its value."""
    encoding: str = "utf-8"
    """CSV and JSON lines only. A byte order mark is recognised."""
    decimal: Literal[".", ","] = "."
    """The decimal separator of numbers that are text."""
    missing: tuple[str, ...] = MISSING
    """Words that stand for a missing value, exactly as written, in columns of all kinds: ids, categories, lists, texts,
    numbers and times. Blank values are always missing. `NA`, `N/A` and `none` are not in the default, since they can be
    values (`NA` is Namibia's country code); in numbers and times, where they cannot, they are always missing."""
    time_unit: TimeUnit | None = None
    """The unit of features of kind `time`. Defaults to the interactions' form of times."""
    time_format: TimeFormat | None = None
    """The strptime format of times that are text and not ISO 8601: `"%d/%m/%Y %I:%M:%S %p"`. Times without a zone are
    UTC."""

    personal: tuple[str, ...] = ()
    """Columns of user ids or categories that are personal data. As they are read, their values are replaced by keyed
    hashes (HMAC-SHA256), so that no artifact, report, log or model holds them. The key is in the environment variable
    RECOMMENDER_PERSONAL_KEY. Clients send hashes. Malformed lines of the table are not shown."""

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
        """The form of times, as `InteractionTable.times`; None: that of the interactions."""
        return self.time_format or self.time_unit

    @property
    def ids(self) -> tuple[str, ...]:
        """The columns of ids that other tables refer to."""
        return ()

    @property
    def delimiter(self) -> str:
        """The separator of values in the rows of a CSV file."""
        if self.separator is not None:
            return self.separator
        return "\t" if self.path.removesuffix(".gz").endswith(".tsv") else ","


class InteractionTable(Table):
    """One row per event."""

    user: str = "user_id"
    """The column of user ids."""
    item: str = "item_id"
    """The column of item ids."""
    time: str | None = "timestamp"
    """The column of times. null: the events of a user are in the order of their rows."""
    time_unit: TimeUnit = "s"
    """The unit of numeric times since 1970. `iso8601`: times are text such as 2024-05-01T12:30:00Z or 2024-05-01 12:30
    UTC. Not together with `time_format`."""
    window: int | None = Field(default=None, ge=1, le=3660)
    """The number of spans that are read, up to the newest one or `data.span`: of `day-{SPAN}` with the newest span 20
    and `window: 14` the spans 7 to 20, and with dates in the path 14 days. Defaults to the newest span alone."""

    @model_validator(mode="after")
    def _windows_are_of_spans(self) -> Self:
        if self.window is not None and not self.has_spans:
            wanted = "`{SPAN}` or `{YYYY}{MM}{DD}` in `path`"
            raise ValueError(f"`window` needs {wanted}. Received: {self.path!r}")
        return self

    @property
    def has_spans(self) -> bool:
        """Whether the path has a number or a date for the span."""
        return "{SPAN" in self.path or all(part in self.path for part in ("{YYYY}", "{MM}", "{DD}"))

    @property
    def ids(self) -> tuple[str, ...]:
        """The columns of users and items."""
        return self.user, self.item

    @property
    def times(self) -> str:
        """The form of times: a `TimeUnit`, or a strptime format, which contains a `%`."""
        return self.time_format or self.time_unit


class EntityTable(Table):
    """One row per item or user."""

    id: str
    """The column of ids."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The column of ids."""
        return (self.id,)


class DataConfig(Section):
    """The location of the tables."""

    folder: str
    """The folder of the tables, relative to the working directory, or a URI: gs://bucket/folder, s3://bucket/folder."""
    dataset: Literal["movielens-100k", "book-crossing"] | None = None
    """A public data set that `tfx_runner.py data` writes into `folder`."""
    interactions: InteractionTable
    """The log of events."""
    items: EntityTable | None = None
    """The catalogue, one row per item."""
    users: EntityTable | None = None
    """The users, one row per user."""
    span: date | int | None = None
    """The last span of the interactions to read, a number or a date such as 2026-05-31; `tfx_runner.py run --span` sets
    it. Of other tables with spans of the same kind, the newest up to it is read. Defaults to the newest."""
    max_side_table_rows: int = Field(default=5_000_000, gt=0)
    """The maximum number of items that `cleaning.core` may remove in one round, since their ids are sent to every Beam
    worker. More stop the run."""

    @model_validator(mode="after")
    def _the_log_has_spans(self) -> Self:
        if self.span is not None and not self.interactions.has_spans:
            path = self.interactions.path
            raise ValueError(
                f"`span` needs `{{SPAN}}` or `{{YYYY}}{{MM}}{{DD}}` in `interactions.path`. Received: {path!r}"
            )
        return self


class Outlier(Section):
    """The treatment of values of a numeric column outside [min, max]."""

    column: str
    """The column, in the interactions."""
    min: float | None = None
    """The lower bound."""
    max: float | None = None
    """The upper bound."""
    action: Literal["drop", "clip"] = "drop"
    """`drop`: the row is removed. `clip`: the value is set to the bound."""


class Core(Section):
    """A k-core: only users and items with a minimum number of events are kept, counted again after each round of
    removals."""

    users: int = Field(default=1, ge=1)
    """The minimum number of events of a user."""
    items: int = Field(default=1, ge=1)
    """The minimum number of events of an item."""
    rounds: int = Field(default=8, ge=1)
    """The maximum number of rounds."""


class CleaningConfig(Section):
    """Which rows are bad, and how many bad rows stop the run."""

    duplicates: Literal["drop", "keep"] = "drop"
    """Whether to drop rows with the same user, item and time (without times: the same user and item) that agree in what
    tasks and event features read; the first one stays. A view and a purchase in the same second are two events if a
    label, `positive`, a `where` or a feature distinguishes them."""
    outliers: tuple[Outlier, ...] = ()
    """The treatment of outliers in numeric columns."""
    core: Core | None = None
    """Restricts the log to a k-core. Defaults to no restriction."""
    unseen_items: Literal["keep", "drop"] = "keep"
    """Whether items without any event after all other cleaning stay in the catalogue: `keep`, as cold items that are
    recommended by their content, or `drop`."""
    max_future_days: float | None = Field(default=1, ge=0)
    """Events later than this number of days after the start of ingest are bad rows. null: all are kept, for synthetic
    logs."""
    min_overlap: float = Field(default=0.8, ge=0, le=1)
    """The minimum share of events whose item is in the items table, and of events whose user is in the users table. A
    lower share is a warning, and a share of 0 stops the run: usually ids are written in two ways. 0: neither is
    checked."""
    max_bad_share: float = Field(default=0.05, ge=0, le=1)
    """The share of rows with a missing key or an unreadable value that stops the run. Duplicates, outliers and rows
    outside the k-core are counted but not bad."""


class Fold(Section):
    """One fold of a cross-validation (`tfx_runner.py crossval` sets it).

    `random` and `user_hash`: rows or users are divided into `of` equal parts, one of which is the test split.
    `global_time`: the log is divided into `of` + 1 equal parts by time; the fold tests on part `number` + 1 and sees
    nothing later, an expanding window. `leave_last_out`: each user's last `of` - `number` events are left out, so that
    each fold tests one event before the next fold's.
    """

    number: int = Field(ge=1)
    """The fold's number, from 1."""
    of: int = Field(ge=2)
    """The number of folds."""

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "Fold":
        if self.number > self.of:
            raise ValueError(f"`number` should be at most `of` ({self.of}). Received: {self.number}")
        return self


class ColdItems(Section):
    """Items that are held out of training, to measure how well new items are recommended."""

    share: float = Field(default=0.1, gt=0, lt=1)
    """The share of the items, selected by a hash of id and seed."""
    seed: int = Field(default=42, ge=0)
    """The seed of the selection."""


class SplitConfig(Section):
    """How events are divided into train, eval and test."""

    method: SplitMethod = "leave_last_out"
    """`global_time`: by time, for all users at once. `leave_last_out`: each user's last event is for test, the one
    before it for eval. `random`: by rows. `user_hash`: by users."""
    eval_share: float = Field(default=0.1, gt=0, lt=1)
    """The share of rows (`global_time`, `random`) or of users (`user_hash`) for eval. Ignored by `leave_last_out`."""
    test_share: float = Field(default=0.1, gt=0, lt=1)
    """The share of rows or users for test, likewise."""
    seed: int = Field(default=42, ge=0)
    """The seed of `random`, `user_hash`, random `ties` and `evaluation.max_users`."""
    ties: Literal["rows", "random"] = "rows"
    """The order of a user's events at the same time (of all events in a log without times): that of their rows, or a
    random one, which is right if the rows are sorted by something other than time, such as the item."""
    max_permutation_rows: int = Field(default=20_000_000, gt=0)
    """The maximum number of rows that `random` divides exactly, by NumPy's permutation; more rows are divided by a hash
    of their position."""
    history: Literal["frozen", "rolling"] = "rolling"
    """The history of an eval or test example. `frozen`: train events only. `rolling`: all events before it. With
    `random`, both are train events only: `frozen` the nearest ones before and after it, as for matrix factorisation
    (for comparisons of rating predictions; recommendations would know the future), and `rolling` those before it. A log
    without times has no order of before and after."""
    cold_items: ColdItems | None = None
    """Holds out a share of the items: their train and eval events are removed, as targets and in histories, so that
    they are new in test. Defaults to none."""
    fold: Fold | None = None
    """The fold of a cross-validation: it determines `test_share`, and `eval_share` is a share of the events that the
    fold sees."""

    @property
    def tested(self) -> float:
        """The share of rows or users for test: the fold's, or else `test_share`."""
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
