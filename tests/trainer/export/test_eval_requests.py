import tensorflow as tf

from tests.pipeline.infra.conftest import window
from trainer.export.eval_requests import as_of_now, as_request


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


def test_events_that_are_not_positive_are_no_history() -> None:
    example = window(
        ["a", "b", "c", "d"],
        time=[10, 20, 30, 40],
        context_device=["tv", "web", "app", "pc"],
        outcome_rating=["5", "3", "1", "4"],
        session_page=["1", "1", "2", "2"],
        is_positive=[1, 0, 1, 0],
        is_target=[0, 0, 0, 1],
    )
    assert as_request(example) == window(
        ["a", "c"], time=[10, 30, 40], context_device=["tv", "app", "pc"], outcome_rating=["5", "1"]
    )


def test_a_request_of_now_has_no_time_of_its_own() -> None:
    request = window(["a", "b"], time=[10, 20, 30], context_device=["tv", "web", "app"])
    assert as_of_now(request) == window(["a", "b"], time=[10, 20], context_device=["tv", "web", "app"])
    nobody = as_request(window(["a"], time=[30]))
    assert set(as_of_now(nobody).features.feature) == {"user_id"}


def test_a_first_event_leaves_an_empty_history() -> None:
    assert as_request(window(["a"], outcome_rating=["5"], time=[10])) == tf.train.Example(
        features=tf.train.Features(
            feature={
                "user_id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"u"])),
                "time": tf.train.Feature(int64_list=tf.train.Int64List(value=[10])),
            }
        )
    )
