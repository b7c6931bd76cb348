"""The base of every configuration section: unknown keys are errors, values never change after loading."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

_LARGEST = 2**63 - 1

LONGEST_NAME: Final = 100
"""Characters of a name that becomes a part of file names, of which systems take 255."""


class Section(BaseModel):
    """A section of the YAML file. Its integers have 64 bits at most, its floats are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _has_64_bits(cls, value: Any) -> Any:
        """Integers that a file writes as text, such as '10', are read too."""
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
