import numpy as np
import pytest

from benchmarks.peers.evaluation import final_evaluation, selection_evaluation
from benchmarks.peers.examples import item_features, read_log, user_features
from benchmarks.peers.rating import final_evaluation as final_rating_evaluation
from tests.benchmarks.peers.toy import example, target, window, write_split


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """ann: a b | c | d; bob: b, a non-positive c | a | z (not in the catalogue); eve, cold: . | . | a b."""
    folder = tmp_path_factory.mktemp("examples")
    early = window("ann", ["a"], [1], [1], rating=[5], user_gender=["F"])
    late = window("ann", ["a", "b"], [1, 2], [0, 1], rating=[5, 4], user_gender=["F"])
    bob = window("bob", ["b", "c"], [5, 6], [1, 1], positive=[1, 0], rating=[3, None])
    write_split(folder, "train", [late, bob], [early])
    write_split(
        folder,
        "eval",
        [target("ann", ["a", "b", "c"], [1, 2, 3], ["a", "b"]), target("bob", ["a"], [7], ["b"], rating=[2])],
    )
    write_split(
        folder,
        "test",
        [
            target("eve", ["b"], [20], [], cold=1),
            target("eve", ["a"], [10], [], cold=1, rating=[4]),
            target("bob", ["b", "a", "z"], [5, 7, 9], ["a", "b"], rating=[None, None, 1]),
            target("ann", ["d"], [4], ["c", "a", "b"], rating=[1]),
        ],
    )
    catalogue = [example(catalogue_id=[item], item_genres=["x"], item_title=[f"The {item}"]) for item in "abcdfg"]
    write_split(folder, "items", catalogue)
    return read_log(str(folder), "rating")


def ids(log, items):
    return "".join("?" if item == len(log.items) else log.items[int(item)].as_py().decode() for item in items)


def named(items, indexes):
    return "".join([*items, "?"][index] for index in indexes)


def of(log, name):
    return log.users.to_pylist().index(name.encode())


def test_items_stand_by_falling_number_of_positive_train_events_then_by_falling_id(log):
    assert ids(log, range(len(log.items))) == "bagfdc"


def test_train_holds_every_target_once_in_the_order_of_time(log):
    ann, bob = (log.train[log.train.user == of(log, name)] for name in ("ann", "bob"))
    assert ids(log, ann.item) == "ab"
    assert ann.label.tolist() == [5, 4]
    assert ids(log, bob.item) == "bc"
    assert bob.positive.tolist() == [True, False]
    assert np.isnan(bob.label).tolist() == [False, True]


def test_a_target_is_its_windows_last_event_with_what_was_seen(log):
    test = log.test.events
    by_user = {log.users[int(user)].as_py().decode(): ids(log, test.item[test.user == user]) for user in test.user}
    assert by_user == {"ann": "d", "bob": "?", "eve": "ab"}
    ann = np.flatnonzero(test.user == of(log, "ann"))[0]
    assert set(ids(log, log.test.seen[ann].indices)) == set("abc")
    assert log.test.cold.tolist() == (test.user == of(log, "eve")).tolist()


@pytest.mark.parametrize(
    ("state", "fitted", "known", "ann", "targets"),
    [("train", "abb", "ba", "ba", "ab"), ("papers", "abb", "ba", "?ba", "ab"), ("refit", "abcba", "bac", "cba", "ab")],
)
def test_the_states_differ_in_weights_and_history(log, state, fitted, known, ann, targets):
    evaluation = final_evaluation(log, state, "frozen")
    # The evaluation's items are those that training holds; `?` is any other.
    assert named(known, evaluation.training.item) == fitted
    row = np.flatnonzero(evaluation.queries.user == of(log, "ann"))[0]
    assert named(known, evaluation.queries.recent(len(ann))[row]) == ann
    assert set(named(known, evaluation.queries.matrix()[row].indices)) == set(ann) - {"?"}
    assert set(named(known, evaluation.seen[row].indices)) == set(known) & set("abc")
    assert "".join(sorted(named(known, evaluation.target_item))) == "??" + targets


def test_a_frozen_history_asks_once_per_user_and_a_rolling_one_once_per_target(log):
    frozen, rolling = final_evaluation(log, "papers", "frozen"), final_evaluation(log, "papers", "rolling")
    assert (len(frozen.queries), len(rolling.queries), len(frozen.target_item)) == (3, 4, 4)
    eve = np.flatnonzero(rolling.queries.user == of(log, "eve"))
    assert [named("ba", rolling.queries[row : row + 1].recent(3)[0]) for row in eve] == ["???", "a??"]
    assert rolling.queries.time[eve].tolist() == [10, 20]
    assert not rolling.one_list
    assert frozen.queries.time[frozen.queries.user == of(log, "eve")].tolist() == [10]


def test_selection_knows_train_alone(log):
    evaluation = selection_evaluation(log)
    assert named("ba", evaluation.training.item) == "abb"
    assert sorted(named("ba", evaluation.target_item)) == ["?", "a"]


def test_ratings_are_the_weighted_labels_of_known_items(log):
    evaluation = final_rating_evaluation(log, "refit")
    assert sorted(evaluation.training.label.tolist()) == [2, 3, 4, 5]
    assert evaluation.scale == (2, 5)
    assert sorted(evaluation.label.tolist()) == [1, 4]
    assert evaluation.cold.tolist() == (evaluation.user == of(log, "eve")).tolist()


def test_side_features_drop_rare_values(log):
    assert item_features(log).toarray().tolist() == [[1]] * 6
    assert user_features(log).shape == (3, 0)


def test_a_folder_without_examples_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="Split-train: holds no"):
        read_log(str(tmp_path), "rating")


def test_a_split_without_examples_is_an_error(tmp_path):
    write_split(tmp_path, "train", [])
    with pytest.raises(ValueError, match="Split-train: holds no examples"):
        read_log(str(tmp_path), "rating")


def test_the_targets_of_a_user_share_a_list_of_what_was_seen(tmp_path):
    write_split(tmp_path, "train", [window("ann", ["a", "b", "c"], [1, 2, 3], [1, 1, 1])])
    parts = [(["c"], 1, 1), (["a"], 0, 2)]  # of the list a c
    shared = [
        target("ann", ["d"], [5 + n], part, seen_start=[start], seen_count=[count])
        for n, (part, start, count) in enumerate(parts)
    ]
    write_split(tmp_path, "eval", [*shared, target("bob", ["a"], [9], ["b", "d"])])
    write_split(tmp_path, "test", [target("ann", ["d"], [10], ["a"])])
    write_split(tmp_path, "items", [example(catalogue_id=[item]) for item in "abcd"])
    log = read_log(str(tmp_path), "rating")
    assert ["".join(sorted(ids(log, row.indices))) for row in log.eval.seen] == ["a", "ac", "bd"]
    assert "".join(ids(log, log.test.seen[0].indices)) == "a"
