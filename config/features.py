"""The features of users, items and events, by kind. The transform package has one function for each kind."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, model_validator

from config.base import LONGEST_NAME, Section
from config.data import TimeFormat, TimeUnit

ValueKind = Literal["text", "list", "number", "time"]
"""What a row holds: a text, a list of texts, a number, or a point in time (seconds since 1970 in the examples)."""

Form = Literal["category", "categories", "number"]
"""What the model reads: one int64 category, any number of them, or one float."""

Divergence = Literal["L-infinity distance", "Jensen-Shannon divergence"]

TIME_PARTS: Final = {"hour": 24, "weekday": 7, "hour_of_week": 168}
"""The number of categories of each part of time."""


class Feature(Section):
    """What every kind of feature has."""

    # A kind tells all other packages what it is by these, so that a new kind is a class here and a transform.
    value_kind: ClassVar[ValueKind]
    """What the rows of its column hold, and requests' raw values."""
    has_vocabulary: ClassVar[bool] = False
    """Whether its categories are the values of a vocabulary that is made of the training data."""
    is_combination: ClassVar[bool] = False
    """Whether it combines other columns and has no raw values of its own."""
    is_filterable: ClassVar[bool] = False
    """Whether requests may filter items by its raw values."""
    is_sliceable: ClassVar[bool] = False
    """Whether its raw values are categories that people know: metrics are sliced and answers capped by them."""
    divergence: ClassVar[Divergence | None] = None
    """The measure of drift and skew. None: its distributions are not compared."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=LONGEST_NAME)
    """The name in requests, in the model and in other sections."""
    column: str | None = None
    """The table's column. Defaults to `name`."""

    @property
    def source(self) -> str:
        """The column that the feature is read from."""
        return self.column or self.name

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that the feature is read from."""
        return (self.source,)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """The names of its raw values in the examples, without the section's prefix."""
        return (self.name,)

    @property
    def is_ordered(self) -> bool:
        """Whether raw values have an order, so that filters are ranges."""
        return self.value_kind in ("number", "time")

    @property
    def form(self) -> Form:
        """What the model reads."""
        return "category"

    def category_count(self, vocabulary_size: int) -> int | None:
        """Returns the number of categories, with those of unknown and missing values; None for a number.

        Args:
            vocabulary_size: The number of known values. Ignored by features without a vocabulary.
        """
        raise NotImplementedError


class Categorical(Feature):
    """One string or integer out of a vocabulary."""

    value_kind: ClassVar[ValueKind] = "text"
    has_vocabulary = True
    is_filterable = True
    is_sliceable = True
    divergence: ClassVar[Divergence | None] = "L-infinity distance"

    kind: Literal["categorical"]
    min_count: int = Field(default=1, ge=1)
    """Values with fewer occurrences are out of vocabulary."""
    max_values: int | None = Field(default=None, gt=0)
    """The maximum size of the vocabulary, of the most frequent values. Defaults to all values."""
    oov_buckets: int = Field(default=1, ge=1)
    """The number of hash buckets for values that are out of vocabulary."""

    def category_count(self, vocabulary_size: int) -> int | None:
        """Counts the known values, the out-of-vocabulary buckets and the missing value."""
        return vocabulary_size + self.oov_buckets + 1


class MultiValued(Categorical):
    """A list of values: a list column, or text that is split at `separator`. Not for event features."""

    value_kind = "list"

    kind: Literal["multi_valued"]  # type: ignore[assignment]
    separator: str = "|"
    """The separator of values in a text column."""

    @property
    def form(self) -> Form:
        """Any number of categories."""
        return "categories"


class Text(Categorical):
    """Words: lower-cased, split at everything that is not a letter or digit, whether letters and their accents are
    written as one character or as several (Unicode's normalisation form C). `C++`, `C#` and `Disney+` keep their signs.
    Chinese, Japanese, Thai, Lao, Khmer and Burmese text, which has no blanks between words, is split into pairs of
    neighbouring characters: `手機殼` becomes `手機` and `機殼`. The exported model does this itself, so requests hold
    text as it is. Ids and categories are not normalised. Not for event features."""

    is_filterable = False
    is_sliceable = False
    divergence = None

    kind: Literal["text"]  # type: ignore[assignment]
    max_tokens: int = Field(default=16, gt=0)
    """The maximum number of words; later ones are dropped. A title that is split into pairs of characters often has
    more than the default."""

    @property
    def form(self) -> Form:
        """Any number of categories."""
        return "categories"


class Numeric(Feature):
    """A number, standardised to mean 0 and standard deviation 1, or cut into quantile buckets of equal share."""

    value_kind = "number"
    is_filterable = True
    divergence = "Jensen-Shannon divergence"

    kind: Literal["numeric"]
    scale: Literal["z_score", "quantile"] = "z_score"
    """`z_score`: standardised. `quantile`: cut into `buckets`."""
    buckets: int = Field(default=16, ge=2)
    """The number of quantile buckets, for `scale: quantile` only."""

    @property
    def form(self) -> Form:
        """One float, or the category of its bucket."""
        return "number" if self.scale == "z_score" else "category"

    def category_count(self, vocabulary_size: int) -> int | None:
        """Counts the buckets and the missing value."""
        return self.buckets + 1 if self.scale == "quantile" else None


class Time(Feature):
    """A point in time: hour of day, day of week (UTC), or both as one of 168 categories. Requests hold it in seconds
    since 1970."""

    value_kind = "time"
    is_filterable = True

    kind: Literal["time"]
    part: Literal["hour", "weekday", "hour_of_week"] = "hour_of_week"
    """The part of the time that becomes the category."""
    time_unit: TimeUnit | None = None
    """Defaults to the table's."""
    time_format: TimeFormat | None = None
    """Defaults to the table's."""

    @model_validator(mode="after")
    def _one_form_of_times(self) -> "Time":
        if self.time_format is not None and self.time_unit is not None:
            raise ValueError(f"`time_unit` should be left out beside `time_format`. Received: {self.time_unit!r}")
        return self

    @property
    def times(self) -> str | None:
        """How the column is written, as the table's `times`; None: as the table's other times."""
        return self.time_format or self.time_unit

    def category_count(self, vocabulary_size: int) -> int | None:
        """Counts the part's values and the missing value."""
        return TIME_PARTS[self.part] + 1


class Cross(Feature):
    """The combination of two or more categorical columns of the same table, hashed."""

    value_kind = "text"
    is_combination = True
    divergence = "L-infinity distance"

    kind: Literal["cross"]
    of: tuple[str, ...] = Field(min_length=2)
    """The columns that are combined."""
    buckets: int = Field(default=1000, ge=2)
    """The number of hash buckets."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The combined columns."""
        return self.of

    @property
    def raw_names(self) -> tuple[str, ...]:
        """The combined columns, each of which is in the examples by its own name."""
        return self.of

    def category_count(self, vocabulary_size: int) -> int | None:
        """Counts the buckets and the missing value."""
        return self.buckets + 1


AnyFeature = Annotated[Categorical | MultiValued | Text | Numeric | Time | Cross, Field(discriminator="kind")]
EventFeature = Annotated[Categorical | Numeric | Time | Cross, Field(discriminator="kind")]


_TAKEN: Final = {"user": ("id",), "item": ("id", "id_frequency")}
"""The names of the vocabularies of ids, which features may not have."""


class ItemId(Section):
    """The vocabulary of item ids, shared by events and the catalogue."""

    min_count: int = Field(default=1, ge=1)
    """Items with fewer train events and no row in the items table are out of vocabulary. Without an items table, 1 also
    keeps items that occur only in eval and test."""


class Trend(Section):
    """Recent popularity: each item's number of positive train events in the last days before the event or the request.

    The retrieval score gets a learned sum of log(1 + count), whose weights depend on the query and start at 0. Counts
    are kept by day (in longer steps if the log is longer than 1024 days), and an event sees only those of the days
    before its own. Recent popularity is a stronger baseline than overall popularity, and than many models (Ji et al.,
    "A Re-visit of the Popularity Baseline in Recommender Systems", 2020). See `model.history.blank` for users without a
    history.
    """

    days: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(1, 7, 30))
    """The lengths of the windows in days, ascending; below 1 for parts of a day. `[]`: the score has no trend."""

    @model_validator(mode="after")
    def _days_rise(self) -> "Trend":
        if list(self.days) != sorted(set(self.days)):
            raise ValueError(f"`days` should increase. Received: {list(self.days)}")
        return self


class FeaturesConfig(Section):
    """The columns that the model reads. Names in the examples carry the section's prefix: `user_age`, `item_genres`."""

    item_id: ItemId = ItemId()
    """The vocabulary of item ids."""
    user: tuple[AnyFeature, ...] = ()
    """Features of the users table, or of the interactions (the user's newest row) if there is none."""
    item: tuple[AnyFeature, ...] = ()
    """Features of the items table."""
    context: tuple[EventFeature, ...] = ()
    """Event features that are known when the request is made: the device, the page, the hour."""
    outcome: tuple[EventFeature, ...] = ()
    """Event features that are known only afterwards, and read only from the history: the rating, the dwell time."""
    trend: Trend = Trend()
    """Recent popularity in the retrieval score, if events have times and there is a retrieval task."""

    @model_validator(mode="after")
    def _names_do_not_clash(self) -> "FeaturesConfig":
        for section in ("user", "item", "context", "outcome"):
            taken = set(_TAKEN.get(section, ()))
            for feature in getattr(self, section):
                if feature.name in taken:
                    raise ValueError(
                        f"`{section}` should not name a feature twice, nor after an id ({', '.join(_TAKEN['item'])}); "
                        f"`column` may be anything. Received: {feature.name!r}"
                    )
                taken.add(feature.name)
        return self
