from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from serving.client import Explanation, Influence, Recommendation, wire
from serving.client.answers import AnswerError, explanations, recommendations, tensor_rows


def _response(**outputs: object) -> object:
    response = predict_pb2.PredictResponse()
    for name, value in outputs.items():
        response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
    return wire.PredictResponse.FromString(response.SerializeToString())


def _explain_response(*left_out: str) -> Any:
    outputs = {
        "item_id": np.array([["a", "b", ""]], object),
        "score": np.array([[2.0, 1.0, 0.0]], np.float32),
        "utility_retrieval_score": np.array([[3.0, 1.0, 0.0]], np.float32),
        "utility_like": np.array([[-1.0, 0.0, 0.0]], np.float32),
        "count": np.array([2], np.int32),
        "event_item_id": np.array([[["x", "y"], ["y", "x"], ["", ""]]], object),
        "event_effect": np.array([[[0.5, -0.25], [2.0, 1.0], [0, 0]]], np.float32),
        "event_age": np.array([[[2, 1], [1, 2], [0, 0]]], np.int32),
        "event_count": np.array([2], np.int32),
    }
    return _response(**{name: values for name, values in outputs.items() if name not in left_out})


def test_explanations_hold_parts_and_events() -> None:
    first, second = explanations(_explain_response())
    assert first == Explanation(
        "a", 2.0, {"retrieval_score": 3.0, "like": -1.0}, [Influence("x", 0.5, 2), Influence("y", -0.25, 1)]
    )
    assert first.shares == {"retrieval_score": 0.75, "like": -0.25}
    assert (second.item_id, second.events[0]) == ("b", Influence("y", 2.0, 1))
    assert Explanation("c", 0.0, {"like": 0.0}, []).shares == {"like": 0.0}


def test_missing_outputs_of_an_explanation_are_named() -> None:
    with pytest.raises(AnswerError, match="lacks event_age, event_count"):
        explanations(_explain_response("event_age", "event_count"))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "bool"])
@pytest.mark.parametrize("as_fields", [True, False])
def test_rows_of_any_encoding(dtype: str, as_fields: bool) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    proto = tf.make_tensor_proto(array)
    if as_fields:
        field = {"float32": "float_val", "float64": "double_val", "int32": "int_val", "int64": "int64_val"}
        proto.tensor_content = b""
        getattr(proto, field.get(dtype, "bool_val")).extend(array.ravel().tolist())
    own = wire.TensorProto.FromString(proto.SerializeToString())
    assert tensor_rows(own) == array.tolist()


def test_a_single_value_stands_for_all() -> None:
    own = wire.TensorProto.FromString(tf.make_tensor_proto(7.0, shape=[2, 2]).SerializeToString())
    assert tensor_rows(own) == [[7.0, 7.0], [7.0, 7.0]]


def test_recommendations_are_cut_at_count() -> None:
    response = _response(
        item_id=[["a", "b"], ["c", ""]], score=[[2.0, 1.0], [3.0, 0.0]], like=[[0.5, 0.25], [0.75, 0.0]], count=[2, 1]
    )
    assert recommendations(response) == [
        [Recommendation("a", 2.0, {"like": 0.5}), Recommendation("b", 1.0, {"like": 0.25})],
        [Recommendation("c", 3.0, {"like": 0.75})],
    ]
    bare = _response(item_id=[["a"]], score=[[2.0]], count=[1])
    assert recommendations(bare) == [[Recommendation("a", 2.0, {})]]


def test_answers_of_other_models_are_refused() -> None:
    with pytest.raises(AnswerError, match="lacks count, item_id"):
        recommendations(_response(score=[[1.0]]))
    with pytest.raises(AnswerError, match="`score` should hold"):
        recommendations(_response(item_id=[["a", "b"]], score=[[1.0]], count=[2]))
