import threading
import time

import pytest

from serving.server.calls import Admission, ServingError
from tests.serving.models import eventually


def wanted() -> bool:
    return True


def test_calls_beyond_slots_and_queue_are_turned_away_at_once() -> None:
    admission, leave, inside = Admission(slots=1, queue=1), threading.Event(), threading.Event()
    answered: list[str] = []

    def call(name: str) -> None:
        with admission.slot(wanted):
            inside.set()
            assert leave.wait(10)
            answered.append(name)

    first = threading.Thread(target=call, args=("first",))
    first.start()
    assert inside.wait(10)
    second = threading.Thread(target=call, args=("second",))
    second.start()
    eventually(lambda: admission._waiting == 1, timeout=10)
    started = time.monotonic()
    with pytest.raises(ServingError, match="1 calls wait already") as raised, admission.slot(wanted):
        pass
    assert time.monotonic() - started < 0.2
    assert raised.value.code.name == "RESOURCE_EXHAUSTED"
    leave.set()
    first.join(10)
    second.join(10)
    assert answered == ["first", "second"]


def test_late_work_is_dropped_before_it_begins_and_leaves_the_queue() -> None:
    admission = Admission(slots=1, queue=1)
    with pytest.raises(ServingError, match="its deadline has passed") as raised, admission.slot(lambda: False):
        pytest.fail("the work began")
    assert raised.value.code.name == "DEADLINE_EXCEEDED"
    with admission.slot(wanted):
        with pytest.raises(ServingError, match="its deadline has passed"), admission.slot(lambda: False):
            pytest.fail("the work began")
        assert admission._waiting == 0
    with admission.slot(wanted):
        pass
