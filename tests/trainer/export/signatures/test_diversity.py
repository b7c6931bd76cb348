"""The choice of dissimilar items, by hand and against a loop in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from config.serving import DiversityConfig
from tests.trainer.market import ITEMS, market_attributes
from tests.trainer.market import market_module as export_market
from tests.trainer.served import serialized
from trainer.data.attributes import words
from trainer.export.signatures.diversity import Diversity, DiversityOptions

VECTORS = np.array([[1, 0], [1, 0], [0.6, 0.8], [0, 1]], np.float32)
UTILITY = np.array([10, 9, 4, 0], np.float32)
GENRES = words(np.array([b"war", b"drama", b"war", b"war", b"noir"], object), np.array([0, 0, 1, 2, 2]))
"""Item 0 is a war drama, item 1 war, item 2 war noir, item 3 nothing."""


def choose(weight=0.0, cap=0, utility=UTILITY, k=4):
    diversity = Diversity(DiversityConfig(caps={"genres": 0}), {"genres": GENRES}, 4)
    item = np.where(np.isfinite(utility), np.arange(4), -1)
    options = DiversityOptions(tf.constant([weight]), {"genres": tf.constant([cap])})
    shortlist = (tf.constant(values[np.newaxis]) for values in (utility, item, VECTORS))
    return diversity.choose(options, *shortlist, k).numpy()[0].tolist()


def test_without_options_the_order_is_that_of_utility():
    assert choose() == [0, 1, 2, 3]


def test_the_first_item_is_the_best_and_the_next_is_dissimilar():
    # Of relevance 1, .9, .4, 0: after item 0, .5 x .9 - .5 x 1 = -.05, .5 x .4 - .5 x .6 = -.1, and 0 - 0 = 0.
    # After item 3 too: item 1 keeps -.05, item 2 sinks to .2 - .5 x .8 = -.2.
    assert choose(weight=0.5) == [0, 3, 1, 2]


def test_dissimilarity_alone():
    assert choose(weight=1.0) == [0, 3, 2, 1]


def test_a_cap_counts_every_value_of_an_item_and_leaves_those_without_alone():
    assert choose(cap=1) == [0, 3, -1, -1]
    assert choose(cap=2) == [0, 1, 3, -1]
    assert choose(cap=3) == [0, 1, 2, 3]


def test_what_is_no_item_is_never_chosen():
    assert choose(weight=0.5, utility=np.array([2, 1, -np.inf, -np.inf], np.float32)) == [0, 1, -1, -1]
    assert choose(weight=0.5, utility=np.full(4, -np.inf, np.float32), k=2) == [-1, -1]


def test_equal_utilities_are_taken_in_order():
    assert choose(weight=0.0, cap=3, utility=np.ones(4, np.float32), k=2) == [0, 1]


def test_a_capped_attribute_is_needed():
    with pytest.raises(ValueError, match="Missing: genres"):
        Diversity(DiversityConfig(caps={"genres": 2}), {}, 4)


REQUEST = {"user_id": ["u0"], "item_id": ["m003", "m100"], "k": [12]}


def expected(module, request, weight, cap):
    """Greedy, on the answer of `recommend` for the best 60 without options."""
    answer = module.functions.recommend(serialized({**request, "k": [60]}))
    ids, utility = answer["item_id"].numpy()[0], answer["score"].numpy()[0].astype(np.float64)
    vectors = module.functions.embed_candidate(module.index, tf.constant(ids))["embedding"].numpy()[:, :8]
    genres = market_attributes(np.array(ITEMS))["genres"]
    index = [module.item_ids.numpy().tolist().index(i) for i in ids]
    own = [set(genres.value[genres.item == i].tolist()) for i in index]
    relevance = (utility - utility.min()) / (utility.max() - utility.min())
    chosen: list[int] = []
    while len(chosen) < request["k"][0]:
        counts = [sum(value in own[j] for j in chosen) for value in range(5)]
        left = [i for i in range(60) if i not in chosen and not (cap and any(counts[v] >= cap for v in own[i]))]
        if not left:
            break
        similarity = (vectors @ vectors[chosen].T).max(axis=1, initial=-1)
        chosen.append(max(left, key=lambda i: ((1 - weight) * relevance[i] - weight * similarity[i], -i)))
    return ids[chosen].tolist()


@pytest.mark.parametrize(("weight", "cap"), [(0.3, 0), (0.8, 0), (0.0, 2), (0.5, 3)])
def test_answers_are_chosen_out_of_the_shortlist(market_module, weight, cap):
    options = {"diversity": [weight], "cap_genres": [cap]}
    answer = market_module.functions.recommend(serialized({**REQUEST, **options}))
    best = expected(market_module, REQUEST, weight, cap)
    assert answer["item_id"].numpy()[0, : len(best)].tolist() == best
    assert answer["count"].numpy().tolist() == [len(best)]


def test_a_request_without_options_gets_the_same_bits_beside_one_with_options(market_module):
    recommend = market_module.functions.recommend
    alone = recommend(serialized(REQUEST, REQUEST))
    beside = recommend(serialized(REQUEST, {**REQUEST, "diversity": [0.9]}))
    assert beside["item_id"][1].numpy().tolist() != alone["item_id"][1].numpy().tolist()
    for name, values in alone.items():
        assert beside[name][0].numpy().tolist() == values[0].numpy().tolist()


def test_items_are_chosen_among_the_filtered(market_module):
    allowed = [f"m{n:03d}" for n in range(60, 90)]
    answer = market_module.functions.recommend(
        serialized({**REQUEST, "diversity": [0.5], "cap_genres": [1], "allow_item_id": allowed})
    )
    found = answer["item_id"].numpy()[0, : answer["count"].numpy()[0]].tolist()
    assert found
    assert set(found) <= {i.encode() for i in allowed}


def test_defaults_come_from_the_configuration_and_a_negative_cap_is_none(market_graph_output, market_module):
    module = export_market(market_graph_output, diversity={"shortlist": 60, "weight": 0.4, "caps": {"genres": 2}})
    quiet = module.functions.recommend(serialized(REQUEST))
    explicit = market_module.functions.recommend(serialized({**REQUEST, "diversity": [0.4], "cap_genres": [2]}))
    assert quiet["item_id"].numpy().tolist() == explicit["item_id"].numpy().tolist()
    free = module.functions.recommend(serialized({**REQUEST, "diversity": [0.0], "cap_genres": [-1]}))
    plain = market_module.functions.recommend(serialized(REQUEST))
    assert free["item_id"].numpy().tolist() == plain["item_id"].numpy().tolist()
