"""The forms of embedding tables: one row for each id, or fewer rows that ids share."""

from typing import Literal

from pydantic import Field, model_validator

from config.base import Method, Section

DEFAULT = "default"
"""The key of `model.tables` for all tables that it does not name."""


class TableConfig(Method):
    """The form of one embedding table. The section may be written as the method's name alone. A table of at most as
    many rows as its form would take is `full`, whatever is configured, so that `default` leaves small tables as they
    are; `unified` has no rows of its own."""

    method: Literal["full", "hash", "quotient_remainder", "unified"] = "full"
    """`full`: a row for each id. `hash`: ids share `rows` rows by a hash that is seeded by `training.seed` (Weinberger
    et al., "Feature Hashing for Large Scale Multitask Learning", 2009); the unknown id, or the missing value, keeps a
    row of its own. `quotient_remainder`: the vectors of an id's quotient and remainder by `rows` are combined, so that
    each id has a vector of its own (Shi et al., "Compositional Embeddings Using Complementary Partitions for
    Memory-Efficient Recommendation Systems", 2020). `unified`: the vector is several rows, by as many hashes, of the
    tables of `model.unified`, which all tables of this form share (Coleman et al., "Unified Embedding: Battle-Tested
    Feature Representations for Web-Scale ML Systems", 2023)."""
    rows: int | None = Field(default=None, gt=1)
    """`hash`: the number of rows. `quotient_remainder`: that of the remainders' table; the quotients' has the number of
    ids divided by it, so the square root of the number of ids makes both smallest."""
    combine: Literal["product", "sum"] = "product"
    """`quotient_remainder`: whether the two vectors are multiplied, component by component, or added."""

    @model_validator(mode="after")
    def _has_its_parameters(self) -> "TableConfig":
        has_rows = self.method in ("hash", "quotient_remainder")
        if has_rows and self.rows is None:
            raise ValueError(f"`{self.method}` needs `rows`, the number of rows that ids share")
        if not has_rows and self.rows is not None:
            raise ValueError(f"`rows` should be left out with `{self.method}`. Received: {self.rows}")
        if self.method != "quotient_remainder" and "combine" in self.model_fields_set:
            raise ValueError(f"`combine` should be left out with `{self.method}`. Received: {self.combine}")
        return self

    def rows_of_parts(self, size: int) -> tuple[int, ...]:
        """Returns the numbers of rows of the tables that a table of `size` ids consists of; none of `unified`.

        Args:
            size: The number of ids, the unknown or missing one included.
        """
        if self.method == "unified":
            return ()
        parts: tuple[int, ...] = (size,)
        if self.rows is not None:
            parts = (self.rows + 1,) if self.method == "hash" else (self.rows, -(-size // self.rows))
        return parts if sum(parts) < size else (size,)


class UnifiedConfig(Section):
    """The tables that all embeddings of the form `unified` share."""

    rows: int = Field(gt=1)
    """The number of rows of each table."""
    width: int = Field(default=16, gt=0)
    """The length of a row. The dimension of an embedding, `model.dimension` of ids and `model.feature_dimension` of
    features, should be a multiple of it: a vector consists of so many rows, each by a hash of its own."""
    tables: int = Field(default=1, gt=0)
    """The number of tables; the rows of vectors are taken from them in turn."""
