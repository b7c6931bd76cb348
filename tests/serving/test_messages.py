from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from serving.client import Explanation, Influence, Recommendation, Request, wire
from serving.client.answers import AnswerError, explanations, recommendations, tensor_rows
from serving.client.request import encode_example


def test_an_example_holds_what_the_request_says() -> None:
    features: dict[str, Any] = {"user_age": 33.0, "user_langs": ["de", b"fr"], "context_rank": [1, 2], "empty": []}
    request = Request("u1", ["a", "b"], [10, 20, 30], features, ["c"], 5)
    example = tf.train.Example.FromString(encode_example(request)).features.feature
    assert {name: f.WhichOneof("kind") for name, f in example.items()} == {
        "user_id": "bytes_list",
        "item_id": "bytes_list",
        "time": "int64_list",
        "exclude_item_id": "bytes_list",
        "k": "int64_list",
        "user_age": "float_list",
        "user_langs": "bytes_list",
        "context_rank": "int64_list",
    }
    assert list(example["item_id"].bytes_list.value) == [b"a", b"b"]
    assert list(example["time"].int64_list.value) == [10, 20, 30]
    assert list(example["user_langs"].bytes_list.value) == [b"de", b"fr"]
    assert list(example["user_age"].float_list.value) == [33.0]


def test_wishes_are_features_by_the_names_of_their_attributes() -> None:
    request = Request(
        allow=["a"],
        any_of={"genres": "Drama", "tags": ["x", "y"]},
        at_least={"year": 1991},
        at_most={"added": datetime(1970, 1, 2, tzinfo=UTC)},
        diversity=0,
        caps={"genres": -1},
    )
    example = tf.train.Example.FromString(encode_example(request, ["c", "d"])).features.feature
    assert {name: list(getattr(f, str(f.WhichOneof("kind"))).value) for name, f in example.items()} == {
        "allow_item_id": [b"a"],
        "candidate_item_id": [b"c", b"d"],
        "filter_genres": [b"Drama"],
        "filter_tags": [b"x", b"y"],
        "min_year": [1991.0],
        "max_added": [86400],
        "diversity": [0.0],
        "cap_genres": [-1],
    }
    assert example["min_year"].WhichOneof("kind") == "float_list"
    assert example["max_added"].WhichOneof("kind") == "int64_list"


def _explain_response(**left_out: Any) -> Any:
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
    response = predict_pb2.PredictResponse()
    for name, values in outputs.items():
        if name not in left_out:
            response.outputs[name].CopyFrom(tf.make_tensor_proto(values))
    return wire.PredictResponse.FromString(response.SerializeToString())


def test_explanations_hold_parts_and_events() -> None:
    first, second = explanations(_explain_response())
    assert first == Explanation(
        "a", 2.0, {"retrieval_score": 3.0, "like": -1.0}, [Influence("x", 0.5, 2), Influence("y", -0.25, 1)]
    )
    assert first.shares == {"retrieval_score": 0.75, "like": -0.25}
    assert (second.item_id, second.events[0]) == ("b", Influence("y", 2.0, 1))
    assert Explanation("c", 0.0, {"like": 0.0}, []).shares == {"like": 0.0}


def test_what_is_no_explanation_is_named() -> None:
    with pytest.raises(AnswerError, match="lacks event_age, event_count"):
        explanations(_explain_response(event_age=True, event_count=True))


def test_an_empty_request_is_an_empty_example() -> None:
    assert tf.train.Example.FromString(encode_example(Request())) == tf.train.Example()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "`k` should be a positive integer. Received: k=0"),
        ({"history": ["a"], "times": [1, 2, 3]}, "`times` should hold 1 or 2 values"),
        ({"diversity": 1.5}, "`diversity` should be from 0 to 1. Received: diversity=1.5"),
        ({"features": {"k": 3}}, "should not name arguments of Request. Received: k"),
    ],
)
def test_wrong_requests_say_what_is_wrong(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        Request(**arguments)  # type: ignore[arg-type]


def test_mixed_values_are_refused() -> None:
    with pytest.raises(TypeError, match="`user_age`"):
        encode_example(Request(features={"user_age": [1.0, "x"]}))


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


def _response(**outputs: object) -> object:
    response = predict_pb2.PredictResponse()
    for name, value in outputs.items():
        response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
    return wire.PredictResponse.FromString(response.SerializeToString())


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
