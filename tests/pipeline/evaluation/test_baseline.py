import pytest
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
