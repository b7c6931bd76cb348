"""The workers of `training.strategy: multi_worker`, from the environment variable `TF_CONFIG`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from config.errors import show
from config.load import ConfigError

VARIABLE = "TF_CONFIG"
EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The addresses of all workers, and which of them this process is.

    Attributes:
      addresses: `host:port` of all workers, the chief's first.
      index: This process's index in `addresses`.
    """

    addresses: tuple[str, ...]
    index: int

    @classmethod
    def is_named(cls, environment: Mapping[str, str]) -> bool:
        """Returns whether the variable names others beside this process: some platforms always set it."""
        try:
            jobs = _parsed(environment[VARIABLE]).cluster
        except KeyError:
            return False
        except ConfigError:
            return True  # for `read` to say what is wrong
        return len(jobs.chief) + len(jobs.worker) > 1

    def __str__(self) -> str:
        return f"worker {self.index} of {len(self.addresses)} ({self.addresses[self.index]})"

    @classmethod
    def of_chief(cls, environment: Mapping[str, str]) -> Self:
        """Reads the cluster in the process that runs the pipeline. Raises `ConfigError`."""
        cluster = cls.read(environment)
        if cluster.index:
            wanted = f"should be the chief's ({cluster.addresses[0]}) where the pipeline runs"
            raise ConfigError(f"`{VARIABLE}.task` {wanted}; the others run `tfx_runner.py worker`. Received: {cluster}")
        return cluster

    @classmethod
    def of_worker(cls, environment: Mapping[str, str]) -> Self:
        """Reads the cluster in a process that follows the chief. Raises `ConfigError`."""
        cluster = cls.read(environment)
        if not cluster.index:
            wanted = "should not be the chief's, which trains in the pipeline (`tfx_runner.py run`)"
            raise ConfigError(f"`{VARIABLE}.task` {wanted}. Received: {cluster}")
        return cluster

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Reads the cluster from a process's environment.

        Raises:
            ConfigError: The variable is missing or malformed, or names fewer than two workers.
        """
        found = _parsed(environment.get(VARIABLE, ""))
        jobs, task = found.cluster, found.task
        addresses, own = (*jobs.chief, *jobs.worker), getattr(jobs, task.type)
        if len(addresses) < 2:
            raise ConfigError(f"`{VARIABLE}.cluster` should name two workers at least. Received: {len(addresses)}")
        if len(set(addresses)) < len(addresses):
            raise ConfigError(f"`{VARIABLE}.cluster` should name each address once. Received: {', '.join(addresses)}")
        if task.index >= len(own):
            allowed = f"should be below {len(own)}, the number of addresses of `{task.type}`"
            raise ConfigError(f"`{VARIABLE}.task.index` {allowed}. Received: {task.index}")
        return cls(addresses, task.index + (len(jobs.chief) if task.type == "worker" else 0))


def _address(text: str) -> str:
    if not re.fullmatch(r"\S+:\d+", text):
        raise ValueError("should be host:port")
    return text


_Addresses = tuple[Annotated[str, AfterValidator(_address)], ...]


class _Jobs(BaseModel):
    """The jobs of a cluster. Parameter servers and evaluators are not supported."""

    model_config = ConfigDict(extra="forbid")

    chief: _Addresses = Field(default=(), max_length=1)
    worker: _Addresses = ()


class _Task(BaseModel):
    type: Literal["chief", "worker"]
    index: int = Field(ge=0)


class _TfConfig(BaseModel):
    cluster: _Jobs
    task: _Task


def _parsed(text: str) -> _TfConfig:
    if not text:
        raise ConfigError(
            f"`{VARIABLE}` should name the workers where `training.strategy` is `multi_worker`: {EXAMPLE},"
            " or `run --workers` start them on this machine. Received: nothing"
        )
    try:
        return _TfConfig.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError("\n".join(map(_described, error.errors()))) from error


def _described(error: object) -> str:
    kind, location, found = (error[key] for key in ("type", "loc", "input"))  # type: ignore[index]
    key = show((VARIABLE, *location))
    if kind == "json_invalid":
        return f"`{key}` should be JSON such as {EXAMPLE}. Received: {found!r}"
    if kind == "missing":
        return f"`{key}` is required and missing"
    if kind == "extra_forbidden":
        return f"`{key}` should be left out: `chief` and `worker` train. Received: {found!r}"
    words = str(error["msg"]).replace("Value error, ", "").replace("Input should be", "should be")  # type: ignore[index]
    return f"`{key}` {words}. Received: {found!r}"
