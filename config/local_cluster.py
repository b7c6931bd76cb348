"""The processes of a training that its chief starts on its own machine (`run --workers`)."""

import json
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

from config.cluster import VARIABLE as TF_CONFIG
from config.load import ConfigError

VARIABLE: Final = "LOCAL_CLUSTER"
"""The environment variable by which `run` tells the Trainer, in the same process, what it starts."""
OPTIONS: Final = {"worker": "--workers", "ps": "--servers"}
"""By role of `TF_CONFIG`, the option of `run` with the number of its processes."""
_ROLES: Final = {"multi_worker": {"worker": 2}, "parameter_server": {"worker": 1, "ps": 1}}
"""By strategy, the roles whose processes options ask for, and the least number of each."""
_CHIEFS: Final = {"parameter_server": {"chief": 1}}
"""By strategy, the chief that trains nothing itself; elsewhere the first worker is the chief."""

Task = tuple[str, int]
"""A role and an index."""


@dataclass(frozen=True)
class LocalCluster:
    """The number of processes of each role of a cluster on one machine.

    Attributes:
      processes: By role, the chief's included: `{"worker": 2}`.
    """

    processes: Mapping[str, int]

    @property
    def chief(self) -> Task:
        """The task of the process that decides and saves."""
        return ("chief" if "chief" in self.processes else "worker", 0)

    @property
    def others(self) -> list[Task]:
        """The tasks of all other processes."""
        tasks = [(role, index) for role, count in self.processes.items() for index in range(count)]
        return [task for task in tasks if task != self.chief]

    @contextmanager
    def announced(self, environment: MutableMapping[str, str]) -> Iterator[None]:
        """Sets the variable inside."""
        environment[VARIABLE] = json.dumps(dict(self.processes))
        try:
            yield
        finally:
            del environment[VARIABLE]

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self | None:
        """Reads the variable; None where the chief starts nothing."""
        text = environment.get(VARIABLE)
        return None if text is None else cls(json.loads(text))

    @classmethod
    def of_options(cls, strategy: str, counts: Mapping[str, int | None], environment: Mapping[str, str]) -> Self | None:
        """Returns the cluster that the options of `run` ask for; None without any.

        Args:
          strategy: `training.strategy`.
          counts: By role, the option's value.
          environment: Of the process.

        Raises:
          ConfigError: The options do not go with the strategy, or `TF_CONFIG` names a cluster already.
        """
        asked = {role: count for role, count in counts.items() if count is not None}
        if not asked:
            return None
        roles = _ROLES.get(strategy, {})
        for role, count in asked.items():
            if role not in roles:
                fitting = " or ".join(f"`{name}`" for name, own in _ROLES.items() if role in own)
                raise ConfigError(
                    f"`{OPTIONS[role]}` should be left out, or `training.strategy` be {fitting}."
                    f" Received: {OPTIONS[role]} {count}, and the strategy {strategy!r}"
                )
        for role, least in roles.items():
            if asked.get(role, 0) < least:
                found = asked.get(role, "nothing")
                allowed = f"should be at least {least} with the strategy `{strategy}`"
                raise ConfigError(f"`{OPTIONS[role]}` {allowed}. Received: {found}")
        if TF_CONFIG in environment:
            given = " and ".join(f"`{OPTIONS[role]}`" for role in asked)
            raise ConfigError(
                f"the environment variable `{TF_CONFIG}` should not be set with {given}: either it names the processes"
                f" of a cluster, or they are started here. Received: {environment[TF_CONFIG]}"
            )
        return cls({**_CHIEFS.get(strategy, {}), **asked})
