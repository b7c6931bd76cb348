"""`--enable_signature_method_name_check`: a signature answers only the methods that its `method_name` names."""

from typing import Final

import grpc
from tensorflow.core.protobuf import meta_graph_pb2

from serving.errors import ServingError, invalid_argument
from serving.servable import Servable
from serving.signature import Signature

PREDICT: Final = "tensorflow/serving/predict"
CLASSIFY: Final = "tensorflow/serving/classify"
REGRESS: Final = "tensorflow/serving/regress"


def check_predict(servable: Servable, signature: Signature) -> None:
    """Raises `ServingError` (INTERNAL) when the flag is set and the signature is of another kind."""
    names = (PREDICT, CLASSIFY, REGRESS)
    if servable.checks_methods and signature.method_name not in names:
        message = f"Expected prediction signature method_name to be one of {{{', '.join(names)}}}. "
        raise ServingError(grpc.StatusCode.INTERNAL, f"{message}Was: {signature.method_name}")


def check_classify(servable: Servable, signature: meta_graph_pb2.SignatureDef) -> None:
    """Raises `ServingError` (INVALID_ARGUMENT) when the flag is set and the signature is of another kind."""
    _check(servable, signature, "classification", CLASSIFY)


def check_regress(servable: Servable, signature: meta_graph_pb2.SignatureDef) -> None:
    """Raises `ServingError` (INVALID_ARGUMENT) when the flag is set and the signature is of another kind."""
    _check(servable, signature, "regression", REGRESS)


def _check(servable: Servable, signature: meta_graph_pb2.SignatureDef, kind: str, name: str) -> None:
    if servable.checks_methods and signature.method_name != name:
        raise invalid_argument(f"Expected {kind} signature method_name to be {name}. Was: {signature.method_name}")
