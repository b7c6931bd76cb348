"""What Classify, Regress and MultiInference do alike: tf.Examples through a signature of a known form."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2

from serving import examples
from serving.errors import invalid_argument
from serving.predict import DEFAULT_SIGNATURE, resolved_spec
from serving.servable import Servable


@dataclass(frozen=True)
class ExampleMethod:
    """A method that answers tf.Examples.

    Attributes:
        name: as the API calls it: `Classify`.
        kind: as messages call it: `classification`.
        check: raises `ServingError` where the signature is of another kind and the server looks at that.
        tensor_names: the graph's names of the outputs. Raises `ServingError` where the form is another one.
        result: (signature, number of examples, values by tensor name) -> the result. Raises `ServingError`.
        response: the message that holds the result.
    """

    name: str
    kind: str
    check: Callable[[Servable, meta_graph_pb2.SignatureDef], None]
    tensor_names: Callable[[meta_graph_pb2.SignatureDef], list[str]]
    result: Callable[[meta_graph_pb2.SignatureDef, int, dict[str, np.ndarray]], Any]
    response: Any

    def answer(self, servable: Servable, request: Any) -> Any:
        """The response of this version, whatever the request's `model_spec` says of it. Raises `ServingError`."""
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = servable.signatures.get(name)
        if signature is None:
            raise invalid_argument(f"No signature was found with the name: {name}")
        self.check(servable, signature)
        names = self.tensor_names(signature)
        data = examples.serialized(request.input)
        arrays = servable.run_for(self.name, {examples.input_name(signature, self.kind): data}, names)
        return self.response(
            model_spec=resolved_spec(servable, request.model_spec.name, name),
            result=self.result(signature, len(data), dict(zip(names, arrays, strict=True))),
        )
