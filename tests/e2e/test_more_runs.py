"""A run after the three passes, on what these have cached: a model below its gate."""

from tests.e2e.conftest import Passes
from tests.e2e.metadata import states_by_component


def test_a_model_below_its_gate_is_not_pushed(passes: Passes) -> None:
    home, before = passes.home, passes.home.versions()
    impossible = {"gates": [{"metric": "ndcg@10", "min": 0.999}]}
    finished = home.run(home.configure("impossible.yaml", evaluation=impossible))
    assert finished.code == 3, finished.output
    assert "not blessed" in finished.output
    assert "0.999" in finished.output
    assert home.versions() == before
    states = states_by_component(home.runs)
    for component in ("InteractionExampleGen", "Transform", "Trainer", "InfraValidator"):
        assert states[component][-1] == "CACHED", component
    assert states["Evaluator"][-1] == "COMPLETE"
