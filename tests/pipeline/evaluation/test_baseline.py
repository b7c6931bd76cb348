from pathlib import Path

import pytest
from tensorflow.core.protobuf import saved_model_pb2
from tfx.types import standard_artifacts

from pipeline.evaluation.baseline import BLESSING, CANDIDATE, MODEL, BlessedBeforeCandidate


def _model(number: int) -> standard_artifacts.Model:
    model = standard_artifacts.Model()
    model.id = number
    return model


def _blessing(model: int, is_blessed: bool) -> standard_artifacts.ModelBlessing:
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("blessed", int(is_blessed))
    blessing.set_int_custom_property("current_model_id", model)
    return blessing


@pytest.mark.parametrize(
    ("blessed", "candidate", "expected"),
    [
        ({1, 2, 3}, 3, [2]),  # the candidate itself, blessed in an earlier run, is not what it has to measure up to
        ({1}, 3, [1]),
        ({1, 2, 3}, 2, [1]),  # nor is anything newer
        ({3}, 3, []),
        (set(), 3, []),
        ({1, 2, 3}, 1, []),
    ],
)
def test_resolves_the_latest_blessed_model_before_the_candidate(
    blessed: set[int], candidate: int, expected: list[int]
) -> None:
    models = {number: _model(number) for number in (1, 2, 3)}
    found = BlessedBeforeCandidate().resolve_artifacts(
        None,
        {
            CANDIDATE: [models[candidate]],
            MODEL: list(models.values()),
            BLESSING: [_blessing(number, number in blessed) for number in models],
        },
    )
    assert [model.id for model in found[MODEL]] == expected
    assert [b.get_int_custom_property("current_model_id") for b in found[BLESSING]] == expected


def _saved(number: int, folder: Path, **signatures: list[str]) -> standard_artifacts.Model:
    """A model whose signatures have these outputs."""
    saved = saved_model_pb2.SavedModel()
    graph = saved.meta_graphs.add()
    for name, outputs in signatures.items():
        for output in outputs:
            graph.signature_def[name].outputs[output].name = output
    path = folder / str(number) / "Format-Serving"
    path.mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(saved.SerializeToString())
    model = _model(number)
    model.uri = str(path.parent)
    return model


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ({"evaluate": ["rank"]}, [3]),
        ({"evaluate": ["rank", "rating"], "evaluation_labels": ["target_rating"]}, [2]),
        ({"evaluate": ["rank", "like"], "evaluation_labels": ["target_like"]}, []),
    ],
)
def test_a_model_of_other_tasks_is_no_baseline(
    tmp_path: Path, candidate: dict[str, list[str]], expected: list[int]
) -> None:
    models = [
        _model(1),  # its files are gone
        _saved(2, tmp_path, evaluate=["rank", "rating"], evaluation_labels=["target_rating"]),
        _saved(3, tmp_path, evaluate=["rank"]),
        _saved(4, tmp_path, **candidate),
    ]
    found = BlessedBeforeCandidate().resolve_artifacts(
        None,
        {CANDIDATE: models[-1:], MODEL: models, BLESSING: [_blessing(model.id, True) for model in models]},
    )
    assert [model.id for model in found[MODEL]] == expected
