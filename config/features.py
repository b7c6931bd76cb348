"""The features of users, items and events, by kind. The transform package has one function for each kind."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from config.base import LONGEST_NAME, Section
from config.data import TimeFormat, TimeUnit


class Feature(Section):
    """What every kind of feature has."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=LONGEST_NAME)
    column: str | None = None
    """The table's column; `name` when missing."""

    @property
    def source(self) -> str:
        """The column that the feature is read from."""
        return self.column or self.name


class Categorical(Feature):
    """One string or integer out of a vocabulary."""

    kind: Literal["categorical"]
    min_count: int = Field(default=1, ge=1)
    """Rarer values are out of vocabulary."""
    max_values: int | None = Field(default=None, gt=0)
    """The vocabulary's size at most; all values when missing."""
    oov_buckets: int = Field(default=1, ge=1)


class MultiValued(Categorical):
    """A list of values: a list column, or a string cut at `separator`. Not for event features."""

    kind: Literal["multi_valued"]  # type: ignore[assignment]
    separator: str = "|"


class Text(Categorical):
    """Words: lower-cased, split at everything that is no letter or digit, whether letters and their accents are written
    as one character or as several (Unicode's normalisation form C). `C++`, `C#` and `Disney+` keep their signs. Of
    Chinese, Japanese, Thai, Lao, Khmer and Burmese, which put no blanks between words, every two neighbouring
    characters are one: `手機殼` is `手機` and `機殼`. The exported model does this itself, so requests may hold text as
    it is. Ids and categories are taken as they are written. Not for event features."""

    kind: Literal["text"]  # type: ignore[assignment]
    max_tokens: int = Field(default=16, gt=0)
    """The first words alone count. Where two characters are one, a title soon has more than there are by default."""


class Numeric(Feature):
    """A number, standardised to mean 0 and deviation 1, or cut into quantile buckets of equal share."""

    kind: Literal["numeric"]
    scale: Literal["z_score", "quantile"] = "z_score"
    buckets: int = Field(default=16, ge=2)
    """Quantile buckets; only for `scale: quantile`."""


class Time(Feature):
    """A point in time: hour of day, day of week (UTC), or both as one of 168 categories. Requests hold it in seconds
    since 1970."""

    kind: Literal["time"]
    part: Literal["hour", "weekday", "hour_of_week"] = "hour_of_week"
    time_unit: TimeUnit | None = None
    """Missing: that of the table."""
    time_format: TimeFormat | None = None
    """Missing: that of the table."""

    @model_validator(mode="after")
    def _one_form_of_times(self) -> "Time":
        if self.time_format is not None and self.time_unit is not None:
            raise ValueError(f"`time_unit` should be left out beside `time_format`. Received: {self.time_unit!r}")
        return self

    @property
    def times(self) -> str | None:
        """How the column is written, as the table's `times`; None: as the table's others."""
        return self.time_format or self.time_unit


class Cross(Feature):
    """The combination of two or more categorical features of the same table, hashed."""

    kind: Literal["cross"]
    of: tuple[str, ...] = Field(min_length=2)
    """Columns."""
    buckets: int = Field(default=1000, ge=2)


AnyFeature = Annotated[Categorical | MultiValued | Text | Numeric | Time | Cross, Field(discriminator="kind")]
EventFeature = Annotated[Categorical | Numeric | Time | Cross, Field(discriminator="kind")]


_TAKEN = {"user": ("id",), "item": ("id", "id_frequency")}
"""Names that the vocabularies of ids hold."""


class ItemId(Section):
    """The vocabulary of item ids, shared by events and catalogue."""

    min_count: int = Field(default=1, ge=1)
    """Items with fewer train events and no row in the items table are out of vocabulary. Without an items table 1 keeps
    the items that eval and test alone know too."""


class Trend(Section):
    """What is popular now: each item's positive train events of the last days before the event or the request.

    Its retrieval score gets a learned sum of log(1 + count), whose weights depend on the query and start at 0. Counts
    are kept by day (by more, where the log is longer than 1024 days), and an event sees those of the days before its
    own only. What is popular lately beats what was popular ever, and many a model (Ji et al., "A Re-visit of the
    Popularity Baseline in Recommender Systems", 2020). See `model.history.blank` for users without a history.
    """

    days: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(1, 7, 30))
    """The windows' lengths, rising; below 1 for parts of a day. Empty: the score has no trend."""

    @model_validator(mode="after")
    def _days_rise(self) -> "Trend":
        if list(self.days) != sorted(set(self.days)):
            raise ValueError(f"`days` should rise. Received: {list(self.days)}")
        return self


class FeaturesConfig(Section):
    """Which columns the model sees. Names in the examples carry the section's prefix: `user_age`, `item_genres`."""

    item_id: ItemId = ItemId()
    user: tuple[AnyFeature, ...] = ()
    """From the users table, or from the interactions (the user's newest row) where there is none."""
    item: tuple[AnyFeature, ...] = ()
    """From the items table."""
    context: tuple[EventFeature, ...] = ()
    """Of an event, known when the request is made: the device, the page, the hour."""
    outcome: tuple[EventFeature, ...] = ()
    """Of an event, known only afterwards and seen only in the history: the rating, the dwell time."""
    trend: Trend = Trend()
    """What is popular now, in the retrieval score, where events have times and a task retrieves."""

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
