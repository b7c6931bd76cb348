"""The base of every configuration section: unknown keys are errors, and sections are immutable."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

_LARGEST = 2**63 - 1

LONGEST_NAME: Final = 100
"""The maximum length of a name that becomes a part of file names, which are limited to 255 characters."""


class Section(BaseModel):
    """A section of the YAML file. Integers have at most 64 bits, and floats are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _has_64_bits(cls, value: Any) -> Any:
        """Checks integers, including those that are written as text, such as '10'."""
        values = value if isinstance(value, tuple) else (value,)
        if any(isinstance(v, int) and abs(v) > _LARGEST for v in values):
            raise ValueError(f"should be at most {_LARGEST} in size")
        return value


class Method(Section):
    """A section that may be written as its method alone: `sharing: mmoe` is `sharing: {method: mmoe}`."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"method": value} if isinstance(value, str) else value
