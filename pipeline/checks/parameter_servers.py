"""Checks what `training.strategy: parameter_server` can train: steps that workers take side by side."""

from collections.abc import Iterator

from config import Config
from config.errors import Location, Problem

_NEGATIVES = ("in_batch", "uniform", "frequency", "mixed")
_BALANCING = ("fixed", "uncertainty")


def check_parameter_servers(config: Config) -> Iterator[Problem]:
    """Returns the problems of sections that need all weights in one process, or one step after the other."""
    if config.training.strategy != "parameter_server":
        return
    for name, task in config.tasks.items():
        if task.kind == "retrieval" and task.negatives not in _NEGATIVES:
            # `auto` is `full` for a catalogue of few items, and how many there are is known only after ingest.
            allowed = f"should be {_listed(_NEGATIVES)} with `parameter_server`: no step reads a whole table"
            yield ("tasks", name, "negatives"), f"{allowed}. Received: {task.negatives!r}"
    training, model = config.training, config.model
    if training.balancing.method not in _BALANCING:
        allowed = f"should be {_listed(_BALANCING)} with `parameter_server`"
        yield ("training", "balancing"), f"{allowed}. Received: {training.balancing.method!r}"
    needs_order: dict[Location, bool] = {
        ("training", "averaging"): training.averaging is not None,
        ("training", "pruning"): training.pruning is not None,
        ("training", "distillation"): training.distillation is not None,
        ("training", "warm_start"): training.warm_start is not None,
        ("training", "precision"): training.precision != "float32",
        ("model", "batch_norm"): model.batch_norm,
        ("model", "generator"): model.generator is not None,
    }
    for location, is_set in needs_order.items():
        if is_set:
            yield location, "should be left out with `parameter_server`, whose workers do not wait for each other"


def _listed(names: tuple[str, ...]) -> str:
    *some, last = (f"`{name}`" for name in names)
    return f"{', '.join(some)} or {last}"
