from pathlib import Path

import tensorflow as tf

from pipeline.infra.requests import as_request, read_probes
from tests.pipeline.infra.conftest import window, write_split


def test_the_target_event_is_taken_away_and_the_request_keeps_its_own_time_and_context() -> None:
    example = window(
        ["a", "b", "c"],
        user_age=[33.0],
        time=[10, 20, 30],
        context_device=["tv", "web", "app"],
        outcome_rating=["5", "3", "1"],
        label_like=[1.0, 0.0, 0.0],
        weight_like=[1.0, 1.0, 1.0],
        is_positive=[1, 1, 1],
        is_target=[0, 0, 1],
        is_cold_user=[0],
        seen_item_id=["a", "b"],
        target_count=[1],
        split=["eval"],
    )
    expected = window(
        ["a", "b"], user_age=[33.0], time=[10, 20, 30], context_device=["tv", "web", "app"], outcome_rating=["5", "3"]
    )
    assert as_request(example) == expected


def test_a_first_event_leaves_an_empty_history() -> None:
    assert as_request(window(["a"], outcome_rating=["5"], time=[10])) == tf.train.Example(
        features=tf.train.Features(
            feature={
                "user_id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"u"])),
                "time": tf.train.Feature(int64_list=tf.train.Int64List(value=[10])),
            }
        )
    )


def test_probes_exclude_the_target_and_end_with_a_request_that_knows_nothing(tmp_path: Path) -> None:
    files = write_split(tmp_path, [window(["a", "b"]), window(["c"]), window(["d", "e"])])
    first, second, nobody = read_probes(files, count=2, k=5, exclude_history=True)
    assert first.forbidden == {"a", "b"}
    assert second.forbidden == {"c"}
    assert nobody.forbidden == frozenset()
    features = tf.train.Example.FromString(first.example).features.feature
    assert list(features["exclude_item_id"].bytes_list.value) == [b"b"]
    assert list(features["k"].int64_list.value) == [5]
    assert set(tf.train.Example.FromString(nobody.example).features.feature) == {"k"}
    assert read_probes(files, count=1, k=5, exclude_history=False)[0].forbidden == {"b"}
