"""The SavedModel, loaded back, against an independent computation from its own embeddings."""

import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from config import feature_names
from tests.trainer.served import ITEMS, serialized
from trainer.data.windows import MASK
from trainer.export.saved_model import candidate_table
from trainer.export.signatures.reader import RequestReader
from trainer.training.distillation import answers, load_teacher, teachable

REQUESTS = {
    "a history": {"user_id": ["u0"], "user_gender": ["F"], "item_id": ["i1", "i2"], "time": [1000, 2000, 3000]},
    "with outcomes": {"user_id": ["u1"], "item_id": ["i0", "i4"], "outcome_rating": ["5", "1"], "time": [10, 20]},
    "with context": {"item_id": ["i3"], "context_device": ["tv", "tv"], "context_hour": [1000, 9000]},
    "an unknown user": {"user_id": ["nobody"], "user_gender": ["?"], "item_id": ["i5"], "k": [2]},
    "unknown items": {"user_id": ["u1"], "item_id": ["x", "i1", "y"], "exclude_item_id": ["z"]},
    "no history": {"user_id": ["u0"], "k": [1]},
    "nothing": {},
    "exclusions": {"item_id": ["i1"], "exclude_item_id": ["i0", "i6", "i6"], "k": [8]},
    "everything excluded": {"user_id": ["u0"], "item_id": ITEMS[:3], "exclude_item_id": ITEMS[3:], "k": [4]},
    "a long history": {"user_id": ["u0"], "item_id": [*ITEMS[:7], "i0", "i1"], "k": [5]},
    "more than there is": {"user_id": ["u1"], "item_id": ["i7"], "k": [1000]},
    "a negative k": {"user_id": ["u1"], "item_id": ["i7"], "k": [-4]},
}
TASKS = ("retrieval_score", "rating", "like", "order")


@pytest.fixture(scope="module")
def candidates(call):
    return call("embed_candidate", item_id=ITEMS)["embedding"]


def expected(call, candidates, request):
    """Item ids and scores of one request: the five best by dot product, ordered by utility."""
    retrieval = candidates @ call("embed_query", examples=serialized(request))["embedding"][0]
    tasks = call("rank", examples=serialized({**request, "candidate_item_id": ITEMS}))
    utility = retrieval + 2 * tasks["rating"][0] - 3 * tasks["like"][0]
    unwanted = {*request.get("item_id", ()), *request.get("exclude_item_id", ())}
    allowed = [i for i in range(8) if ITEMS[i] not in unwanted]
    k = request.get("k", [3])[0] if request.get("k", [3])[0] > 0 else 3
    shortlist = sorted(allowed, key=lambda i: -retrieval[i])[: max(k, 5)]
    best = sorted(shortlist, key=lambda i: -utility[i])[:k]
    scores = {"retrieval_score": retrieval, "score": utility, "rating": tasks["rating"][0], "like": tasks["like"][0]}
    return [ITEMS[i] for i in best], {name: values[best] for name, values in scores.items()}


@pytest.mark.parametrize("name", REQUESTS)
def test_recommend_is_retrieval_then_ranking(call, candidates, name):
    ids, scores = expected(call, candidates, REQUESTS[name])
    answer = call("recommend", examples=serialized(REQUESTS[name]))
    count = answer["count"][0]
    assert [i.decode() for i in answer["item_id"][0, :count]] == ids
    for task, values in scores.items():
        np.testing.assert_allclose(answer[task][0, :count], values, rtol=1e-4, atol=1e-5)


def test_a_batch_of_unequal_requests_answers_each_as_if_alone(call):
    batch = call("recommend", examples=serialized(*REQUESTS.values()))
    assert batch["item_id"].shape == (len(REQUESTS), 8)
    for row, request in enumerate(REQUESTS.values()):
        alone = call("recommend", examples=serialized(request))
        count = alone["count"][0]
        assert batch["count"][row] == count
        assert batch["item_id"][row].tolist() == alone["item_id"][0, :count].tolist() + [b""] * (8 - count)
        for task in ("score", *TASKS):
            np.testing.assert_allclose(batch[task][row, :count], alone[task][0, :count], rtol=1e-4, atol=1e-5)
            assert not batch[task][row, count:].any()


def test_counts_say_how_many_items_there_are(call):
    counts = call("recommend", examples=serialized(*REQUESTS.values()))["count"].tolist()
    assert dict(zip(REQUESTS, counts, strict=True)) == {
        "a history": 3,
        "with outcomes": 3,
        "with context": 3,
        "an unknown user": 2,
        "unknown items": 3,
        "no history": 1,
        "nothing": 3,
        "exclusions": 5,
        "everything excluded": 0,
        "a long history": 1,
        "more than there is": 7,
        "a negative k": 3,
    }


def test_serving_default_is_recommend(call):
    examples = serialized(*REQUESTS.values())
    default, recommend = call("serving_default", examples=examples), call("recommend", examples=examples)
    assert default.keys() == recommend.keys() == {"item_id", "score", "count", *TASKS}
    assert default["item_id"].tolist() == recommend["item_id"].tolist()


def test_the_exported_model_teaches_what_the_model_knows(saved_model_path, shop_graph, shop_model):
    reader, item = RequestReader(shop_graph, shop_model.spec), tf.constant([5, 0, 3], tf.int64)
    window = reader.window(reader.raw(serialized(REQUESTS["a history"], REQUESTS["with outcomes"])))
    window |= {feature_names.IS_TARGET: window[MASK]}
    window = {name: window[name] for name in teachable(shop_model)}
    teacher = load_teacher(saved_model_path, np.array([name.encode() for name in ITEMS], object))
    expected, found = answers(shop_model, window, item), teacher.teach(window, item)
    assert set(found) == {"query", "candidates", "rating", "like", "genre", "order"}
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5, err_msg=name)


def test_plain_tensors_answer_as_examples_do(call):
    plain = call(
        "recommend_tensors",
        user_id=["u0", "u1", "", "u1"],
        item_id=[["i1", "i2", "x"], ["i0", "", ""], ["", "", ""], ["i4", "i5", ""]],
        time=tf.constant([[1000, 2000, 2500], [3000, 0, 0], [0, 0, 0], [10, 20, 0]], tf.int64),
        request_time=tf.constant([9000, 0, 7000, 50], tf.int64),
        exclude_item_id=[["i7", ""], ["", ""], ["", ""], ["i0", "i1"]],
        k=[2, 0, 4, 99],
    )
    by_example = call(
        "recommend",
        examples=serialized(
            {
                "user_id": ["u0"],
                "item_id": ["i1", "i2", "x"],
                "time": [1000, 2000, 2500, 9000],
                "context_hour": [1000, 2000, 2500, 9000],
                "exclude_item_id": ["i7"],
                "k": [2],
            },
            {"user_id": ["u1"], "item_id": ["i0"], "time": [3000], "context_hour": [3000]},
            {"time": [7000], "context_hour": [7000], "k": [4]},
            {
                "user_id": ["u1"],
                "item_id": ["i4", "i5"],
                "time": [10, 20, 50],
                "context_hour": [10, 20, 50],
                "exclude_item_id": ["i0", "i1"],
                "k": [99],
            },
        ),
    )
    assert plain["count"].tolist() == [2, 3, 4, 4]
    assert plain["item_id"].tolist() == by_example["item_id"].tolist()
    for task in ("score", *TASKS):
        np.testing.assert_allclose(plain[task], by_example[task], rtol=1e-5, atol=1e-6)


def test_retrieve_orders_by_the_retrieval_score(call, candidates):
    request = {**REQUESTS["a history"], "k": [6]}
    scores = candidates @ call("embed_query", examples=serialized(request))["embedding"][0]
    answer = call("retrieve", examples=serialized(request))
    best = [i for i in np.argsort(-scores) if i not in (1, 2)]
    assert answer["item_id"][0].tolist() == [ITEMS[i].encode() for i in best]
    np.testing.assert_allclose(answer["score"][0], scores[best], rtol=1e-5)


def test_rank_keeps_the_order_of_the_request(call):
    answer = call(
        "rank", examples=serialized({"candidate_item_id": ["i5", "new", "i0"]}, {"candidate_item_id": ["i0"]}, {})
    )
    assert answer["count"].tolist() == [3, 1, 0]
    assert answer["item_id"].tolist() == [[b"i5", b"new", b"i0"], [b"i0", b"", b""], [b"", b"", b""]]
    assert answer["rating"][0, 2] == pytest.approx(answer["rating"][1, 0])
    assert answer["retrieval_score"][1].tolist() == [pytest.approx(answer["retrieval_score"][0, 2]), 0, 0]


def test_a_call_without_candidates_is_answered(call):
    answer = call("rank", examples=serialized({"user_id": ["u0"]}))
    assert answer["item_id"].shape == answer["rating"].shape == (1, 0)


def test_an_unknown_candidate_matches_nobody(call, candidates):
    unknown = call("embed_candidate", item_id=["new"])["embedding"][0]
    assert unknown.tolist() == [0] * 8 + [candidates[:, -1].min()]


def test_candidates_are_unit_vectors_with_a_bias(call, candidates, shop_model):
    np.testing.assert_allclose(np.linalg.norm(candidates[:, :-1], axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(candidates, candidate_table(shop_model)[:-1])
    assert call("embed_query", examples=serialized({}))["embedding"][0, -1] == 1


def test_what_is_no_example_is_an_invalid_argument(call):
    with pytest.raises(tf.errors.InvalidArgumentError, match="Could not parse example"):
        call("recommend", examples=["no example"])


def test_an_empty_batch_has_an_empty_answer(call):
    assert call("recommend", examples=tf.constant([], tf.string))["count"].shape == (0,)


def test_every_op_is_one_of_tensorflow_s_own(saved_model_path):
    graph = saved_model_pb2.SavedModel.FromString(Path(saved_model_path, "saved_model.pb").read_bytes()).meta_graphs[0]
    functions = graph.graph_def.library.function
    names = {node.op for nodes in (graph.graph_def.node, *(f.node_def for f in functions)) for node in nodes}
    operations = names - {function.signature.name for function in functions}
    assert "ParseExampleV2" in operations
    assert not {op for op in operations if "Py" in op}
    assert operations <= set(dir(tf.raw_ops))


def test_the_signatures_are_those_of_the_documentation(saved_model):
    text = Path(__file__, "../../../../docs/reference/signatures.md").resolve().read_text()
    table = text.split("## The exported model")[1].split("\nK is the")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    documented = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    assert set(saved_model.signatures) == documented
    for name, signature in saved_model.signatures.items():
        inputs, outputs = (
            set(specs) for specs in (signature.structured_input_signature[1], signature.structured_outputs)
        )
        assert inputs <= set(re.findall(r"`(\w+)`", table)), name
        if not name.startswith(("evaluat", "interests", "request_features")):
            tasks = {"rating", "like", "order", "utility_rating", "utility_like", "utility_retrieval_score"}
            assert outputs - tasks <= set(re.findall(r"`(\w+)`", table)), name


CLASSES = {b"drama", b"noir", b"war"}


def test_interests_are_the_most_probable_classes(call):
    found = call("interests", examples=serialized({"user_id": ["u0"], "item_id": ["i1", "i2"], "k": [50]}))
    assert set(found) == {"genre", "genre_probability"}
    assert set(found["genre"][0].tolist()) == CLASSES
    assert (np.diff(found["genre_probability"][0]) <= 0).all()
    np.testing.assert_allclose(found["genre_probability"].sum(), 1, rtol=1e-5)


def test_every_request_gets_as_many_as_it_asked_for(call):
    one = {"user_id": ["u0"], "item_id": ["i1"]}
    whole, two = (call("interests", examples=serialized(one | {"k": [k]})) for k in (3, 2))
    both = call("interests", examples=serialized(one | {"k": [2]}, one | {"k": [1]}))
    assert both["genre"].tolist() == [two["genre"][0].tolist(), [whole["genre"][0, 0], b""]]
    np.testing.assert_allclose(both["genre_probability"][0], whole["genre_probability"][0, :2], rtol=1e-5)
    assert both["genre_probability"][1, 1] == 0


def test_nobody_and_nothing_are_answered(call):
    assert set(call("interests", examples=serialized({}))["genre"][0].tolist()) == CLASSES
    assert call("interests", examples=tf.constant([], tf.string))["genre"].shape[0] == 0
