"""A signature as Predict needs it, read out of its protocol buffer once: maps of protocol buffers are slow to read."""

from dataclasses import dataclass, field
from typing import Self

from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2


@dataclass(frozen=True)
class Signature:
    """The tensors of one signature.

    Attributes:
        method_name: of the kind of the signature.
        inputs: the graph's tensor name of every input by its alias, in the order of the aliases.
        dtypes: the number of every input's dtype by its alias.
        outputs: the graph's tensor name of every output by its alias, in the order of the aliases.
        defaults: the value of an input that a request leaves out, by its alias.
    """

    method_name: str
    inputs: dict[str, str]
    dtypes: dict[str, int]
    outputs: dict[str, str]
    defaults: dict[str, tensor_pb2.TensorProto] = field(default_factory=dict)

    @classmethod
    def of(cls, definition: meta_graph_pb2.SignatureDef) -> Self:
        """The signature that the protocol buffer defines."""
        inputs, outputs = sorted(definition.inputs.items()), sorted(definition.outputs.items())
        return cls(
            method_name=definition.method_name,
            inputs={alias: info.name for alias, info in inputs},
            dtypes={alias: info.dtype for alias, info in inputs},
            outputs={alias: info.name for alias, info in outputs},
            defaults=dict(definition.defaults),
        )
