"""How requests are batched: BatchingParameters with TensorFlow Serving's defaults and checks."""

from dataclasses import dataclass
from typing import Any

from serving.errors import invalid_argument


@dataclass(frozen=True)
class BatchingParameters:
    """`max_rows` a request; a batch waits `timeout` seconds for more; `threads` batches run at the same time."""

    max_rows: int = 1000
    timeout: float = 0.0
    max_waiting_batches: int = 10
    threads: int = 4
    allowed_rows: tuple[int, ...] = ()
    """Batches are filled up with copies of the last row to the next of these sizes."""
    batch_rows: int = 0
    """Rows of a batch where larger requests are split; 0: they are not, and a batch has `max_rows`."""

    @property
    def limit(self) -> int:
        """The most rows of a batch."""
        return self.batch_rows or self.max_rows

    @classmethod
    def from_proto(cls, proto: Any, cores: int) -> "BatchingParameters":
        """From the BatchingParameters message. Raises `ServingError` (INVALID_ARGUMENT)."""
        made = cls(
            max_rows=_value(proto, "max_batch_size", cls.max_rows),
            timeout=_value(proto, "batch_timeout_micros", 0) / 1e6,
            max_waiting_batches=_waiting_batches(proto),
            threads=_value(proto, "num_batch_threads", cores),
            allowed_rows=tuple(proto.allowed_batch_sizes),
            batch_rows=_batch_rows(proto),
        )
        made._check()
        return made

    def _check(self) -> None:
        if self.threads < 1:
            raise invalid_argument(f"num_batch_threads must be positive; was {self.threads}")
        if self.allowed_rows and self.allowed_rows[-1] != self.max_rows:
            raise invalid_argument(
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
                f"{self.allowed_rows[-1]}; expected {self.max_rows}"
            )
        if self.max_rows < 1:
            raise invalid_argument(f"input_batch_size_limit must be positive; was {self.max_rows}")
        if self.timeout < 0:
            micros = round(self.timeout * 1e6)
            raise invalid_argument(f"batch_timeout_micros must be non-negative; was {micros}")
        if self.max_waiting_batches < 1:
            raise invalid_argument(f"max_enqueued_batches must be positive; was {self.max_waiting_batches}")
        if self.batch_rows > self.max_rows:
            raise invalid_argument(
                "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or equal to "
                f"max_execution_batch_size. Received: {self.max_rows} and {self.batch_rows}"
            )


def _value(proto: Any, field: str, default: int) -> int:
    return int(getattr(proto, field).value) if proto.HasField(field) else default


def _waiting_batches(proto: Any) -> int:
    """Without splitting, 0 counts as 1."""
    found = _value(proto, "max_enqueued_batches", BatchingParameters.max_waiting_batches)
    return found or (0 if proto.enable_large_batch_splitting.value else 1)


def _batch_rows(proto: Any) -> int:
    if not proto.enable_large_batch_splitting.value:
        return 0
    return _value(proto, "max_execution_batch_size", _value(proto, "max_batch_size", BatchingParameters.max_rows))
