"""The one exception by which a request fails: a status code and a message, as TensorFlow Serving gives them."""

from typing import Any, Final

import grpc

_BY_NUMBER: Final = {code.value[0]: code for code in grpc.StatusCode}
_LIMIT: Final = 1024


class ServingError(Exception):
    """A request cannot be answered, or a version cannot be loaded."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def number(self) -> int:
        """The code's number on the wire: 3 is INVALID_ARGUMENT."""
        return int(self.code.value[0])

    @property
    def status(self) -> str:
        """Code and message, as a status is printed inside another message: `NOT_FOUND: no such file`."""
        return f"{self.code.name}: {self.message}"

    @property
    def details(self) -> str:
        """The message as gRPC carries it: one of more than 1024 bytes is cut."""
        data = self.message.encode("utf-8", "replace")
        return self.message if len(data) <= _LIMIT else f"{data[:_LIMIT].decode('utf-8', 'ignore')}...TRUNCATED"


def invalid_argument(message: str) -> ServingError:
    """The request itself is wrong."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> ServingError:
    """There is no such model, version or file."""
    return ServingError(grpc.StatusCode.NOT_FOUND, message)


def failed_precondition(message: str) -> ServingError:
    """The model is not in a state, or not of a kind, that allows the request."""
    return ServingError(grpc.StatusCode.FAILED_PRECONDITION, message)


def unimplemented(message: str) -> ServingError:
    """TensorFlow Serving has no such thing either."""
    return ServingError(grpc.StatusCode.UNIMPLEMENTED, message)


def from_tensorflow(error: Any) -> ServingError:
    """TensorFlow's `OpError` with the same code: both count like absl's."""
    return ServingError(_BY_NUMBER.get(error.error_code, grpc.StatusCode.UNKNOWN), error.message)
