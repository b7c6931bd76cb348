"""The gates of `online`, on measures made by hand."""

from dataclasses import replace
from typing import Any

import pytest

from config.online import OnlineGates
from pipeline.online.gates import judge, should_withdraw
from pipeline.online.measures import Measured
from pipeline.online.skew import Skew
from pipeline.validation.measures import L_INFINITY


def measured(version: int, **values: Any) -> Measured:
    known = {"requests": 1000, "judged": 1000, "pending": 0, "ctr": 0.1, "ctr_error": 0.005, "coverage": 0.5}
    shares = {"unknown_users": 0.02, "unknown_items": 0.01}
    return Measured(version, **{**known, **shares, "ranks": (), "calibrations": (), "skews": (), **values})


def skew(found: float | None, is_significant: bool) -> Skew:
    return Skew("user_gender", L_INFINITY, found, "F", 1e-9, is_significant, 0, 0)


def verdicts(gates: dict[str, Any], *versions: Measured, version: int = 2) -> dict[str, tuple[bool | None, str]]:
    found = judge(OnlineGates(**gates), version, versions)
    return {verdict.gate: (verdict.passed, verdict.found) for verdict in found}


@pytest.mark.parametrize(
    ("ctr", "error", "passed", "text"),
    [
        (0.09, 0.001, True, "0.900 of version 1, up to 0.990 with 95 % confidence"),
        (0.07, 0.001, False, "0.700 of version 1, up to 0.771 with 95 % confidence"),
        (0.07, 0.01, True, "0.700 of version 1, up to 0.908 with 95 % confidence"),  # may be chance
        (0.0, 0.0, False, "0.000 of version 1, up to 0.000 with 95 % confidence"),
    ],
)
def test_the_rate_is_compared_with_the_version_before(ctr: float, error: float, passed: bool, text: str) -> None:
    newer = measured(2, ctr=ctr, ctr_error=error)
    assert verdicts({"min_ctr_ratio": 0.8}, newer, measured(1))["min_ctr_ratio"] == (passed, text)


def test_a_first_version_and_one_whose_windows_are_not_over() -> None:
    gates = {"min_ctr_ratio": 0.8}
    assert verdicts(gates, measured(2))["min_ctr_ratio"] == (True, "no version before it")
    passed, text = verdicts(gates, measured(2, judged=99), measured(1))["min_ctr_ratio"]
    assert (passed, text) == (None, "too few requests whose window is over: 99, and 1000 of version 1")
    assert verdicts(gates, measured(2), measured(1, ctr=0.0))["min_ctr_ratio"][0] is True


def test_a_skew_counts_if_it_is_far_and_not_by_chance() -> None:
    gates = {"max_skew": 0.1}
    assert verdicts(gates, measured(2, skews=(skew(0.2, True),)))["max_skew"] == (
        False,
        "`user_gender`: L-infinity distance 0.2, most of it by 'F'",
    )
    by_chance = verdicts(gates, measured(2, skews=(skew(0.2, False),)))["max_skew"]
    assert by_chance == (True, "0.2 of `user_gender`, which chance explains")
    assert verdicts(gates, measured(2, skews=(skew(0.09, True),)))["max_skew"] == (True, "0.09 of `user_gender`")


def test_what_cannot_be_measured_fails() -> None:
    gates = {"max_skew": 0.1, "max_unknown_users": 0.5, "max_unknown_items": 0.005}
    found = verdicts(gates, measured(2, skews=(skew(None, False),), unknown_users=None))
    assert found["max_skew"] == found["max_unknown_users"] == (False, "nothing was measured")
    assert found["max_unknown_items"] == (False, "0.0100")


def test_too_few_requests_fail_and_withdraw_nothing() -> None:
    gates = OnlineGates(min_requests=2000, max_unknown_users=0.01)
    few = judge(gates, 2, [measured(2)])
    assert [(v.gate, v.passed) for v in few] == [("min_requests", False), ("max_unknown_users", None)]
    assert not should_withdraw(few)
    enough = judge(replace_min(gates), 2, [measured(2)])
    assert [(v.gate, v.passed) for v in enough] == [("min_requests", True), ("max_unknown_users", False)]
    assert should_withdraw(enough)


def replace_min(gates: OnlineGates) -> OnlineGates:
    return gates.model_copy(update={"min_requests": 100})


def test_a_version_that_is_not_in_the_logs() -> None:
    assert judge(OnlineGates(max_skew=0.1), 3, [replace(measured(2))])[0].passed is False
    assert len(judge(OnlineGates(max_skew=0.1), 3, [measured(2)])) == 1
