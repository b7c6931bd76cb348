import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from serving.signature import Signature


def test_it_holds_what_its_protocol_buffer_holds_in_the_order_of_the_aliases() -> None:
    definition = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    definition.inputs["b"].CopyFrom(meta_graph_pb2.TensorInfo(name="first:0", dtype=tf.int64.as_datatype_enum))
    definition.inputs["a"].CopyFrom(meta_graph_pb2.TensorInfo(name="second:0", dtype=tf.string.as_datatype_enum))
    definition.outputs["z"].name, definition.outputs["y"].name = "out:0", "out:1"
    definition.defaults["b"].CopyFrom(tf.make_tensor_proto(3, tf.int64))
    signature = Signature.of(definition)
    assert signature.method_name == "tensorflow/serving/predict"
    assert list(signature.inputs.items()) == [("a", "second:0"), ("b", "first:0")]
    assert list(signature.dtypes.values()) == [7, 9]
    assert list(signature.outputs.items()) == [("y", "out:1"), ("z", "out:0")]
    assert signature.defaults["b"].int64_val == [3]
