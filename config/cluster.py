"""The processes that train together, from the environment variable `TF_CONFIG`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from config.errors import show
from config.load import ConfigError

VARIABLE = "TF_CONFIG"
EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
SERVERS_EXAMPLE = (
    '{"cluster": {"chief": ["host0:2222"], "worker": ["host1:2222", "host2:2222"], "ps": ["host3:2222"]},'
    ' "task": {"type": "chief", "index": 0}}'
)
_EXAMPLES = {"multi_worker": EXAMPLE, "parameter_server": SERVERS_EXAMPLE}
_STARTED = {
    "multi_worker": "`run --workers` start them",
    "parameter_server": "`run --workers N --servers M` start them",
}


@dataclass(frozen=True)
class Cluster:
    """The addresses of all processes, and which of them this one is.

    Attributes:
      addresses: `host:port` of all processes: the chief's first, then the workers', then the parameter servers'.
      index: This process's index in `addresses`.
      servers: The number of parameter servers. 0: the strategy is `multi_worker`, and the chief a worker too.
    """

    addresses: tuple[str, ...]
    index: int
    servers: int = 0

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
        if not self.servers:
            return f"worker {self.index} of {len(self.addresses)} ({self.addresses[self.index]})"
        workers = len(self.addresses) - self.servers - 1
        role, number, count = "worker", self.index - 1, workers
        if self.index == 0:
            role, number, count = "chief", 0, 1
        elif self.index > workers:
            role, number, count = "server", self.index - 1 - workers, self.servers
        return f"{role} {number} of {count} ({self.addresses[self.index]})"

    @classmethod
    def of_chief(cls, environment: Mapping[str, str], strategy: str = "multi_worker") -> Self:
        """Reads the cluster in the process that runs the pipeline. Raises `ConfigError`."""
        cluster = cls.read(environment, strategy)
        if bool(cluster.servers) != (strategy == "parameter_server"):
            wanted = "should be left out" if cluster.servers else "should name a server at least"
            found = f"Received: {cluster.servers or 'none'}"
            raise ConfigError(f"`{VARIABLE}.cluster.ps` {wanted} where `training.strategy` is `{strategy}`. {found}")
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
    def read(cls, environment: Mapping[str, str], strategy: str = "multi_worker") -> Self:
        """Reads the cluster from a process's environment.

        Args:
            environment: Of the process.
            strategy: `training.strategy`, which decides what is said where the variable is missing.

        Raises:
            ConfigError: The variable is missing or malformed, or names too few processes.
        """
        found = _parsed(environment.get(VARIABLE, ""), strategy)
        jobs, task = found.cluster, found.task
        addresses, own = (*jobs.chief, *jobs.worker, *jobs.ps), getattr(jobs, task.type)
        if jobs.ps and not (jobs.chief and jobs.worker):
            raise ConfigError(
                f"`{VARIABLE}.cluster` should name a `chief` and a `worker` at least beside `ps`: {SERVERS_EXAMPLE}."
                f" Received: {len(jobs.chief)} and {len(jobs.worker)}"
            )
        if len(addresses) < 2:
            raise ConfigError(f"`{VARIABLE}.cluster` should name two workers at least. Received: {len(addresses)}")
        if len(set(addresses)) < len(addresses):
            raise ConfigError(f"`{VARIABLE}.cluster` should name each address once. Received: {', '.join(addresses)}")
        if task.index >= len(own):
            allowed = f"should be below {len(own)}, the number of addresses of `{task.type}`"
            raise ConfigError(f"`{VARIABLE}.task.index` {allowed}. Received: {task.index}")
        before = {"chief": 0, "worker": len(jobs.chief), "ps": len(jobs.chief) + len(jobs.worker)}
        return cls(addresses, task.index + before[task.type], len(jobs.ps))


def _address(text: str) -> str:
    if not re.fullmatch(r"\S+:\d+", text):
        raise ValueError("should be host:port")
    return text


_Addresses = tuple[Annotated[str, AfterValidator(_address)], ...]


class _Jobs(BaseModel):
    """The jobs of a cluster. Evaluators are not supported: the chief evaluates."""

    model_config = ConfigDict(extra="forbid")

    chief: _Addresses = Field(default=(), max_length=1)
    worker: _Addresses = ()
    ps: _Addresses = ()


class _Task(BaseModel):
    type: Literal["chief", "worker", "ps"]
    index: int = Field(ge=0)


class _TfConfig(BaseModel):
    cluster: _Jobs
    task: _Task


def _parsed(text: str, strategy: str = "multi_worker") -> _TfConfig:
    if not text:
        who = "workers and servers" if strategy == "parameter_server" else "workers"
        raise ConfigError(
            f"`{VARIABLE}` should name the {who} where `training.strategy` is `{strategy}`: {_EXAMPLES[strategy]},"
            f" or {_STARTED[strategy]} on this machine. Received: nothing"
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
        return f"`{key}` should be left out: `chief`, `worker` and `ps` train. Received: {found!r}"
    words = str(error["msg"]).replace("Value error, ", "").replace("Input should be", "should be")  # type: ignore[index]
    return f"`{key}` {words}. Received: {found!r}"
