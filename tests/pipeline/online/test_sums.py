"""Answers joined with events: which answer an event counts for, and what is not counted yet."""

from collections.abc import Mapping

from pipeline.online.answers import Answer
from pipeline.online.sums import Event, Joining, Outcome, Sums, join, sums_of_user


def answer(time: int, *items: str, version: int = 1, scores: Mapping[str, tuple[float, ...]] | None = None) -> Answer:
    return Answer(version, time, "u", items, scores or {}, (), {})


def click(time: int, item: str, is_positive: bool = True, **labels: float) -> Event:
    return Event(time, item, is_positive, labels)


def test_an_event_counts_for_the_newest_answer_before_it_that_showed_its_item() -> None:
    answers = [answer(0, "a", "b"), answer(100, "b", "c"), answer(150, "c")]
    events = [click(120, "b"), click(160, "a"), click(149, "c"), click(90, "b"), click(201, "b")]
    assert join(answers, events, 100) == [Outcome({1}, {}), Outcome({0, 1}, {}), Outcome(set(), {})]


def test_events_before_the_answer_and_after_the_window_count_for_none() -> None:
    assert join([answer(100, "a")], [click(99, "a"), click(201, "a")], 100) == [Outcome(set(), {})]
    assert join([answer(100, "a")], [click(100, "a")], 100) == [Outcome({0}, {})]
    assert join([answer(100, "a")], [click(200, "a")], 100) == [Outcome({0}, {})]


def test_the_first_label_counts_and_an_event_that_is_no_click_has_labels_too() -> None:
    events = [click(9, "a", like=1), click(5, "a", False, like=0), click(7, "a", bought=1)]
    assert join([answer(0, "a")], events, 10) == [Outcome({0}, {(0, "like"): 0, (0, "bought"): 1})]


def of(sums: Sums, *key: str | int) -> float:
    return sums[(1, *key)]


def test_answers_whose_window_is_not_over_have_no_rate_yet() -> None:
    answers = [answer(0, "a", "b"), answer(60, "a", "b")]
    sums = sums_of_user(("u", ""), answers, [click(70, "a")], 109, Joining(50, {}))
    assert (of(sums, "requests"), of(sums, "judged"), of(sums, "pending")) == (2, 1, 1)
    assert (of(sums, "shown", 1), of(sums, "clicked", 1)) == (1, 0)  # its click was the second answer's
    assert (of(sums, "ctr", "ss"), of(sums, "ctr", "cc"), of(sums, "ctr", "users")) == (4, 0, 1)


def test_requests_without_a_user_are_counted_and_joined_with_nothing() -> None:
    sums = sums_of_user(("", "file 3"), [answer(0, "a")], [], 1000, Joining(50, {}))
    assert (of(sums, "requests"), of(sums, "judged"), of(sums, "shown", 1)) == (1, 0, 0)


def test_predictions_fall_into_tenths() -> None:
    scores = {"like": (0.05, 1.0, 0.3)}
    events = [click(1, "a", like=0), click(1, "b", like=1)]
    sums = sums_of_user(("u", ""), [answer(0, "a", "b", "c", scores=scores)], events, 100, Joining(50, {}))
    assert (of(sums, "labelled", "like", 0), of(sums, "predicted", "like", 0), of(sums, "label", "like", 0)) == (
        1,
        0.05,
        0,
    )
    assert (of(sums, "labelled", "like", 9), of(sums, "predicted", "like", 9), of(sums, "label", "like", 9)) == (
        1,
        1,
        1,
    )
    assert sum(number for key, number in sums.items() if key[1] == "labelled") == 2
