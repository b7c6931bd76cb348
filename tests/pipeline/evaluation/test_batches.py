import numpy as np
import tensorflow_model_analysis as tfma

from pipeline.evaluation.batches import group_rows


def test_rows_of_the_same_slices_stay_together() -> None:
    values = np.empty(3, object)
    values[:] = [(b"a",), (), (b"a",)]
    labels = {"candidate": {"target_label_like": np.array([0.1, 0.2, 0.3])}}
    extracts = {
        tfma.FEATURES_KEY: {"user_x": values},
        tfma.PREDICTIONS_KEY: {"like": np.arange(3), "top": np.arange(6).reshape(3, 2)},
        tfma.constants.TRANSFORMED_FEATURES_KEY: labels,
    }
    together, alone = group_rows(extracts)
    assert together[tfma.FEATURES_KEY]["user_x"].tolist() == [b"a"]
    assert together[tfma.PREDICTIONS_KEY]["top"].tolist() == [[0, 1], [4, 5]]
    assert together[tfma.constants.TRANSFORMED_FEATURES_KEY]["candidate"]["target_label_like"].tolist() == [0.1, 0.3]
    assert alone[tfma.FEATURES_KEY] == {}
    assert alone[tfma.PREDICTIONS_KEY]["like"].tolist() == [1]
