"""The one exception by which a request or a load fails: a gRPC status code and a message."""

from typing import Any, Final

import grpc

_BY_NUMBER: Final = {code.value[0]: code for code in grpc.StatusCode}


class ServingError(Exception):
    """A request cannot be answered, or a version cannot be loaded.

    Args:
      code: What the caller gets; REST maps it to an HTTP status.
      message: What was found and, where the caller can do something, what is allowed.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid_argument(message: str) -> ServingError:
    """Returns the error of a request that is wrong in itself."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> ServingError:
    """Returns the error of a model, version or label that is not there."""
    return ServingError(grpc.StatusCode.NOT_FOUND, message)


def exhausted(message: str) -> ServingError:
    """Returns the error of a call beyond what the server takes at once."""
    return ServingError(grpc.StatusCode.RESOURCE_EXHAUSTED, message)


def from_tensorflow(error: Any) -> ServingError:
    """Returns TensorFlow's `OpError` with the same code: both count like absl's."""
    return ServingError(_BY_NUMBER.get(error.error_code, grpc.StatusCode.UNKNOWN), error.message)
