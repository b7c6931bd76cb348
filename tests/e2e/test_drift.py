"""Runs after the three passes, on what these have cached: the newest span beside that of the version before."""

from tests.e2e.conftest import Passes
from tests.e2e.metadata import artifacts, states_by_component


def test_drift_stops_a_run_before_transform_and_names_both_statistics(passes: Passes) -> None:
    home, before = passes.home, passes.home.versions()
    pipeline = {"root": str(home.folder / "runs"), "drift": {"features": {"item_id": 0}}}
    finished = home.run(home.configure("drift.yaml", pipeline=pipeline))
    assert finished.code == 1, finished.output
    newer, older = (a.uri for a in reversed(artifacts(home.runs, "ExampleStatistics")[:2]))
    assert f"drift of train: {newer}/Split-train from {older}/Split-train" in finished.output
    assert "`item_id`: L-infinity distance 0.0" in finished.output
    assert "`pipeline.drift.stop: false` lets the run go on" in finished.output
    assert "Traceback" not in finished.output
    assert home.versions() == before
    assert states_by_component(home.runs)["AnomalyGate"][-1] == "FAILED"


def test_drift_that_is_only_reported_lets_the_run_go_on(passes: Passes) -> None:
    home = passes.home
    drift = {"threshold": 0.5, "features": {"item_id": 0}, "stop": False}
    pipeline = {"root": str(home.folder / "runs"), "drift": drift, "skew": {"threshold": 1}}
    config = home.configure("reported.yaml", pipeline=pipeline)
    for state in ("COMPLETE", "CACHED"):
        finished = home.run(config)
        assert finished.code == 0, finished.output
        assert "too far: drift of train: `item_id`: L-infinity distance" in finished.output
        states = states_by_component(home.runs)
        assert states["DistributionValidator"][-1] == states["AnomalyGate"][-1] == state
        assert states["Transform"][-1] == "CACHED"
        assert states["Trainer"][-1] == "CACHED"
    page = (home.runs / "report.html").read_text()
    assert "drift of train" in page
    assert "skew of test" in page
