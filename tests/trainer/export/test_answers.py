"""The graph's answers to random requests, item by item, against NumPy on the exported tables."""

import numpy as np
import pytest

from tests.trainer.market import ITEMS, batches, draw_requests, market_attributes
from tests.trainer.served import serialized

BATCH = 125
REQUESTS = sorted(draw_requests(1000, seed=0), key=lambda request: request.get("k", [0]))
"""By K: the answers' width, and with it the candidates, are those of the largest K of a batch."""
ATTRIBUTES = market_attributes(np.array(ITEMS))
CLOSE = 2e-5
"""Two orders of summing the same products may differ so much."""


@pytest.fixture(scope="module")
def ids(market_module):
    return market_module.item_ids.numpy().tolist()


@pytest.fixture(scope="module")
def answers(market_module):
    found = [{n: v.numpy() for n, v in market_module.functions.recommend(b).items()} for b in batches(REQUESTS, BATCH)]
    return [{name: values[row] for name, values in answer.items()} for answer in found for row in range(BATCH)]


@pytest.fixture(scope="module")
def tables(market_module, ids):
    """Of each request: every item's scores, float [V] by name."""
    functions = market_module.functions
    candidates = functions.embed_candidate(market_module.index, market_module.item_ids)["embedding"].numpy()
    rows = []
    for batch, requests in zip(batches(REQUESTS, BATCH), np.split(np.array(REQUESTS, object), 8), strict=True):
        query = functions.embed_query(batch)["embedding"].numpy()
        rank = functions.recommender.rank(
            serialized(*({**r, "candidate_item_id": [i.decode() for i in ids]} for r in requests))
        )
        for row in range(BATCH):
            scores = {
                "retrieval_score": candidates @ query[row],
                **{t: rank[t][row].numpy() for t in ("rating", "like")},
            }
            rows.append({**scores, "score": scores["retrieval_score"] + 0.5 * scores["rating"] - scores["like"]})
    return rows


def allowed(request, ids):
    """Which items may be recommended: bool [V]."""
    genres, years = ATTRIBUTES["genres"], ATTRIBUTES["year"].values
    fits = ~np.isin(ids, [i.encode() for i in [*request.get("item_id", []), *request.get("exclude_item_id", [])]])
    if "allow_item_id" in request:
        fits &= np.isin(ids, [i.encode() for i in request["allow_item_id"]])
    if "filter_genres" in request:
        wanted = np.isin(genres.values[genres.value], [g.encode() for g in request["filter_genres"]])
        fits &= np.isin(np.arange(len(ids)), genres.item[wanted])
    with np.errstate(invalid="ignore"):
        fits &= years >= request["min_year"][0] if "min_year" in request else True
        fits &= years <= request["max_year"][0] if "max_year" in request else True
    return fits


def width(request):
    k = request.get("k", [0])[0]
    return min(k if k > 0 else 5, 200)


def expected(request, scores, ids, widest):
    """Items in order: the best by retrieval, of these by utility; of equal ones the smaller index is ahead."""
    fits = np.flatnonzero(allowed(request, ids))
    best = fits[np.argsort(-scores["retrieval_score"][fits], kind="stable")]
    shortlist, rest = np.sort(best[: max(widest, 40)]), best[max(widest, 40) :]
    last = scores["retrieval_score"][shortlist].min(initial=np.inf)
    is_sharp = not (scores["retrieval_score"][rest] > last - CLOSE).any()
    return shortlist[np.argsort(-scores["score"][shortlist], kind="stable")][: width(request)], is_sharp


@pytest.mark.parametrize("batch", range(1000 // BATCH))
def test_the_answers_are_those_of_numpy(answers, tables, ids, batch):
    rows = range(batch * BATCH, (batch + 1) * BATCH)
    widest = max(width(REQUESTS[row]) for row in rows)
    blurred = 0
    for row in rows:
        scores, answer = tables[row], answers[row]
        best, is_sharp = expected(REQUESTS[row], scores, ids, widest)
        assert answer["count"] == len(best)
        items = np.array([ids.index(i) for i in answer["item_id"][: len(best)]], int)
        assert len(set(items)) == len(items)
        assert allowed(REQUESTS[row], ids)[items].all()
        if is_sharp:
            swapped = items != best
            np.testing.assert_allclose(scores["score"][items[swapped]], scores["score"][best[swapped]], atol=CLOSE)
        blurred += not is_sharp
        tied = np.diff(answer["score"][: len(items)]) == 0
        assert (np.diff(items)[tied] > 0).all()
        for name, values in scores.items():
            np.testing.assert_allclose(answer[name][: len(items)], values[items], rtol=1e-4, atol=CLOSE)
        assert (answer["item_id"][len(items) :] == b"").all()
        assert not answer["score"][len(items) :].any()
    assert blurred < BATCH / 5


def test_the_random_requests_meet_every_case(tables, ids):
    counts = [allowed(request, ids).sum() for request in REQUESTS]
    assert min(counts) == 0
    assert max(counts) == 200
    assert any(0 < n < width(r) for n, r in zip(counts, REQUESTS, strict=True))
    assert any(r.get("k", [0])[0] > 200 for r in REQUESTS)
    assert any("item_id" not in r for r in REQUESTS)
    assert any(not r for r in REQUESTS)
    assert any("unknown" in r.get("item_id", []) for r in REQUESTS)
    ties = [np.sort(row["score"])[:-1] == np.sort(row["score"])[1:] for row in tables]
    assert all(tie.any() for tie in ties)
