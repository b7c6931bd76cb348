"""The real Evaluator on slices of few users."""

from pipeline.evaluation.results import read_metrics
from tests.pipeline.evaluation.runs import Event, evaluate, make_config, save, write_examples

OTHER = "other (fewer than 2 users)"


def test_slices_of_few_users_are_one_and_none_where_these_are_too_few_too(tmp_path):
    config = make_config("{slices: [user_gender], ks: [10], min_slice_users: 2, requests: 0, beat_popularity: null}")
    warm = [Event(1, 1, 9), Event(2, 1, 9), *[Event(3, 4, 9, count=2, gender="rare")] * 2]
    others = [Event(4, 2, 9, gender="single"), Event(5, 2, 9, gender=None), Event(6, 1, 9, cold=1, gender="alone")]
    examples = write_examples(tmp_path / "examples", {"eval": [*warm, *others], "test": warm[:2]})
    evaluation, _ = evaluate(config, examples, save(tmp_path / "model"), tmp_path)
    found = {(m.split, m.slice): m.value for m in read_metrics(evaluation) if m.metric == "users"}
    assert found == {
        ("eval", "all"): 6,
        ("eval", "warm"): 5,
        ("eval", "cold"): 1,
        ("eval", "warm, user_gender=F"): 2,
        ("eval", f"warm, user_gender={OTHER}"): 2,
        ("test", "all"): 2,
        ("test", "warm"): 2,
        ("test", "warm, user_gender=F"): 2,
    }
    texts = b"".join(path.read_bytes() for path in (tmp_path / "evaluation").rglob("*") if path.is_file())
    assert not any(value in texts for value in (b"rare", b"single", b"alone"))
