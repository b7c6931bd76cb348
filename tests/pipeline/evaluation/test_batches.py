import numpy as np
import pyarrow as pa
import tensorflow_model_analysis as tfma

from pipeline.evaluation.batches import group_rows, read_features


def _batch(**columns: list[list[bytes] | None]) -> dict[str, pa.RecordBatch]:
    rows = len(next(iter(columns.values())))
    kept = {name: pa.array(values, pa.large_list(pa.large_binary())) for name, values in columns.items()}
    raw = pa.array([[b"%d" % row] for row in range(rows)], pa.large_list(pa.large_binary()))
    arrays = {**kept, tfma.constants.ARROW_INPUT_COLUMN: raw}
    return {tfma.ARROW_RECORD_BATCH_KEY: pa.RecordBatch.from_arrays(list(arrays.values()), list(arrays))}


def test_reads_the_named_features_and_of_an_events_feature_the_last_value() -> None:
    batch = _batch(user_x=[[b"a", b"b"], None], context_y=[[b"1", b"2"], [b"1", b""]], other=[[b"z"], [b"z"]])
    (found,) = read_features(batch, ["context_y", "user_absent", "user_x"])
    features = {name: list(values) for name, values in found[tfma.FEATURES_KEY].items()}
    assert features == {"context_y": [(b"2",), ()], "user_absent": [(), ()], "user_x": [(b"a", b"b"), ()]}
    assert list(found[tfma.INPUT_KEY]) == [b"0", b"1"]


def test_cuts_large_batches() -> None:
    found = read_features(_batch(user_x=[[b"a"]] * 1100), ["user_x"])
    assert [len(part[tfma.INPUT_KEY]) for part in found] == [512, 512, 76]
    assert found[2][tfma.INPUT_KEY][0] == b"1024"


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
