import numpy as np

from trainer.stacking.labels import TrainLabels
from trainer.stacking.outcomes import outcome_labels
from transform.features import ModelFeature


def feature(name, size):
    return ModelFeature(name, "outcome", "category", size)


def labels(label, **outcomes):
    events = np.zeros(len(label), np.int64)
    categories = {name: np.asarray(values) for name, values in outcomes.items()}
    return TrainLabels(events, events, np.asarray(label, float), categories, np.zeros([0, 2], np.int64))


def test_the_outcome_that_tells_the_label_is_found():
    data = labels([1, 2, 5, 5], device=[0, 1, 0, 1], stars=[3, 1, 0, 0])
    found = outcome_labels(data, [feature("device", 2), feature("stars", 5)])
    assert found.feature == "stars"
    np.testing.assert_array_equal(found.label[[3, 1, 0]], [1, 2, 5])
    np.testing.assert_array_equal(found.is_known, [True, True, False, True, False])


def test_an_outcome_that_tells_little_is_not_believed():
    data = labels([1, 2, 5, 4], device=[0, 0, 1, 1])
    assert outcome_labels(data, [feature("device", 2)]) is None
    assert outcome_labels(data, []) is None
