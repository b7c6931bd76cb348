import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.export.signatures.test_evaluate import WINDOWS, request, unseen, window
from tests.trainer.served import ITEMS, serialized
from tests.trainer.small import small_config, small_model
from trainer.export.signatures.request_forms import RequestForms
from trainer.stacking.recommender import StackedRecommender

FORMS = ("everything", "without_request_time", "ids_alone", "hour_later", "day_later", "month_later")
LATE = window("u0", ["i5", "i6"], "i4", ["i5", "i6"], user_gender=["F"], outcome_rating=["4", "1", "5"])
LATE |= {"time": [86_400 * 300, 86_400 * 300 + 50, 86_400 * 310], "context_device": ["tv", "tv", "phone"]}
LATE["context_hour"] = LATE["time"]
ROWS = [*WINDOWS, LATE]


def in_form(form, row):
    """The request that a service would send in the form; of a user without events the row's own time stays."""
    own = request(row) | {"outcome_rating": row.get("outcome_rating", [])[:-1]}
    own |= {"context_device": row.get("context_device", [])}
    if form == "everything":
        return own
    if form == "ids_alone":
        return {"user_id": own["user_id"], "item_id": own["item_id"]}
    past = row["time"][:-1]
    if form == "without_request_time":
        return own | {"time": past, "context_hour": past}
    later = past[-1] + {"hour": 3600, "day": 86_400, "month": 2_592_000}[form[:-6]] if past else row["time"][-1]
    return own | {"time": [*past, later], "context_hour": [*past, later]}


@pytest.fixture(scope="module")
def answer(call):
    return call("evaluate", examples=serialized(*ROWS))


@pytest.mark.parametrize("form", FORMS)
def test_ranks_and_predictions_are_those_of_the_request_that_a_service_sends(call, answer, form):
    rows = [in_form(form, row) for row in ROWS]
    candidates = call("embed_candidate", item_id=ITEMS)["embedding"]
    scores = call("embed_query", examples=serialized(*rows))["embedding"] @ candidates.T
    orders = [unseen(np.argsort(-own), row) for own, row in zip(scores, ROWS, strict=True)]
    position = FORMS.index(form)
    for row, order, rank in zip(ROWS, orders, answer["request_rank"][:, position], strict=True):
        target = row["item_id"][-1]
        known = target in ITEMS and ITEMS.index(target) in order
        assert rank == (order.index(ITEMS.index(target)) + 1 if known else np.inf)
    ranked = call(
        "rank",
        examples=serialized(*({**q, "candidate_item_id": [r["item_id"][-1]]} for q, r in zip(rows, ROWS, strict=True))),
    )
    for task in ("rating", "like"):
        np.testing.assert_allclose(answer[f"request_{task}"][:, position], ranked[task][:, 0], rtol=1e-5)


def test_forms_differ(answer):
    assert len(set(np.round(answer["request_rating"][-1], 6))) == len(FORMS)
    assert "request_order" not in answer


def test_the_sample_of_users_is_the_same_every_time():
    users = tf.constant([f"user {n}" for n in range(20_000)])
    model = StackedRecommender(small_model(small_config()))
    half, most = (RequestForms(model, None, None, share)._is_sampled(users).numpy() for share in (0.5, 0.8))
    assert abs(half.mean() - 0.5) < 0.02
    assert abs(most.mean() - 0.8) < 0.02
    assert most[half].all()
