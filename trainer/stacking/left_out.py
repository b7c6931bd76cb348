"""What a trained model goes without, and why."""

from collections.abc import Iterable

from config.progress import say


class LeftOut:
    """The parts of scores that are asked for and not there: nothing is left to fit them to, or to weigh them on.

    Attributes:
        reasons: why, by task and part.
    """

    def __init__(self) -> None:
        self.reasons: dict[str, dict[str, str]] = {}

    def tell(self, task: str, parts: Iterable[str], reason: str) -> None:
        """Says that a task's score is without these parts, and keeps it for the run's report."""
        names = list(parts)
        if names:
            say(f"{task}: without {', '.join(names)}: {reason}")
            self.reasons.setdefault(task, {}).update(dict.fromkeys(names, reason))
