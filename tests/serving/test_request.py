from datetime import UTC, datetime
from typing import Any

import pytest
import tensorflow as tf

from serving.client import Request
from serving.client.request import encode_example


def test_the_example_of_a_request() -> None:
    features: dict[str, Any] = {"user_age": 33.0, "user_langs": ["de", b"fr"], "context_rank": [1, 2], "empty": []}
    request = Request("u1", ["a", "b"], [10, 20, 30], features, ["c"], 5)
    example = tf.train.Example.FromString(encode_example(request)).features.feature
    assert tf.train.Example.FromString(encode_example(Request())) == tf.train.Example()
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


def test_options_are_features_named_by_their_attributes() -> None:
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "`k` should be a positive integer. Received: k=0"),
        ({"history": ["a"], "times": [1, 2, 3]}, "`times` should hold 1 or 2 values"),
        ({"diversity": 1.5}, "`diversity` should be from 0 to 1. Received: diversity=1.5"),
        ({"features": {"k": 3}}, "should not name arguments of Request. Received: k"),
        ({"history": ["a"], "times": [888_444_000, 888_445_000_000]}, "not milliseconds. Received: 888445000000"),
    ],
)
def test_wrong_requests_raise(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        Request(**arguments)  # type: ignore[arg-type]


def test_mixed_values_are_refused() -> None:
    with pytest.raises(TypeError, match="`user_age`"):
        encode_example(Request(features={"user_age": [1.0, "x"]}))
