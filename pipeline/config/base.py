"""The base of every configuration section: unknown keys are errors, values never change after loading."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A section of the YAML file."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Method(Section):
    """A section that may be written as its method alone: `sharing: mmoe` is `sharing: {method: mmoe}`."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"method": value} if isinstance(value, str) else value
