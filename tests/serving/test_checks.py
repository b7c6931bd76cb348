import asyncio
import warnings

import pytest

from serving.client import AsyncRecommenderClient, RecommenderClient, Request, RequestWarning
from serving.client.checks import implausible_times
from tests.serving.models import RunningServer

NOW = 1_700_000_000
DAY = 86_400


def kinds(history: int, *times: int) -> list[str]:
    return [kind for kind, _ in implausible_times(Request(history=["a"] * history, times=times), NOW)]


@pytest.mark.parametrize(
    ("history", "times", "expected"),
    [
        (2, (NOW - 500, NOW - 400), []),
        (2, (NOW - 500, NOW - 400, NOW), []),
        (2, (NOW - 500, NOW - 400, NOW - 400), []),
        (2, (NOW - 500, NOW - 400, NOW - 3 * DAY), ["before"]),
        (2, (NOW - 500, NOW - 400, 1), ["before"]),
        (2, (NOW - 500, NOW - 400, 0), []),
        (2, (0, 0, NOW), []),
        (2, (888_000_000, 888_000_100, NOW), ["after"]),
        (1, (NOW - 300 * DAY, NOW), []),
        (1, (NOW - 10, NOW + 3 * DAY), ["future"]),
        (1, (NOW + 30 * DAY,), ["future"]),
        (0, (NOW,), []),
        (0, (NOW + 3 * DAY,), ["future"]),
        (3, (NOW - 100, NOW - 200, NOW - 300), ["order"]),
        (3, (NOW - 100, NOW - 100, NOW - 100), []),
        (1, (10**10,), ["future"]),
    ],
)
def test_implausible_times(history: int, times: tuple[int, ...], expected: list[str]) -> None:
    assert kinds(history, *times) == expected


STRANGE = Request(
    history=["a", "b"],
    times=[888_444_000, 888_445_000, 12],
    features={"user_age": 3.0, "user_agee": 3.0, "context_page": "x"},
)


def check_warnings(found: list[warnings.WarningMessage]) -> None:
    texts = [str(warning.message) for warning in found]
    assert all(warning.category is RequestWarning for warning in found)
    assert all(warning.filename == __file__ for warning in found)
    assert len(texts) == 3
    assert "should not be before those of its history. Received: 12 (1970-01-01 00:00 UTC)" in texts[0]
    assert "no feature `context_page`" in texts[1]
    assert "no feature `user_agee`" in texts[2]
    assert "Known: user_age, user_id" in texts[2]


def test_the_client_warns_once_of_what_the_model_cannot_use(server: RunningServer) -> None:
    with RecommenderClient(server.address) as client, warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for _ in range(3):
            assert client.recommend(STRANGE)
    check_warnings(found)


def test_the_async_client_warns_alike(server: RunningServer) -> None:
    async def ask() -> None:
        async with AsyncRecommenderClient(server.address) as client:
            await client.recommend(STRANGE)
            await client.recommend_many([STRANGE])

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        asyncio.run(ask())
    check_warnings(found)


def test_known_features_are_asked_for_once(server: RunningServer) -> None:
    with RecommenderClient(server.address) as client, warnings.catch_warnings():
        warnings.simplefilter("error")
        client.recommend(Request(features={"user_age": 1.0}))
        client._model_metadata = None  # type: ignore[assignment]  # known features are not asked for again
        client.recommend(Request(features={"user_age": 2.0}))
