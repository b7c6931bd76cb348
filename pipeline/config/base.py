"""The base of every configuration section: unknown keys are errors, values never change after loading."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section of the YAML file."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
