import json
from pathlib import Path

import pytest

from config import ConfigError, dump_config, load_config, parse_config
from config.dump import INFRA, TRAINER
from config.errors import suggestion

CONFIGS = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))

GOOD = """\
name: shop
data:
  folder: data/shop
  interactions: {path: events.csv}
features:
  user:
    - {name: age, kind: numeric}
tasks:
  retrieval: {kind: retrieval}
  rating: {kind: regression, label: rating}
"""


def test_something_should_score_items():
    tasks = "tasks:\n  interest: {kind: multiclass, attribute: genres}\n"
    assert "Received: interest" in error_of(GOOD[: GOOD.index("tasks:")] + tasks)


def test_the_utility_is_of_tasks_that_score_items():
    text = GOOD + "  interest: {kind: multiclass, attribute: genres}\nserving: {utility: {interest: 1.0}}\n"
    assert "that score items (retrieval, rating). Received: interest" in error_of(text)


def error_of(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "shop.yaml")
    return str(caught.value)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_dumped_configuration_reads_back_equal(path):
    config = load_config(path)
    assert parse_config(dump_config(config)) == config
    assert json.loads(dump_config(config))["name"] == config.name


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "kind: numeric}",
            "kind: numeric, scal: quantile}",
            "shop.yaml:7: `features.user[0].scal`: unknown key. Did you mean `scale`? "
            "Allowed: name, column, kind, scale, buckets",
        ),
        (
            "label: rating}",
            "labl: rating, label: rating}",
            "shop.yaml:10: `tasks.rating.labl`: unknown key. Did you mean `label`? "
            "Allowed: weight, where, hidden, dropout, label, baseline, kind, min, max",
        ),
        (
            "tasks:",
            "serving: {index: int8, probes: 3}\ntasks:",
            "shop.yaml:8: `serving`: `probes` needs `index` to be ivf. Received: index=int8",
        ),
        (
            "tasks:",
            "serving: {index: ivf, partitions: 2, probes: 3}\ntasks:",
            "shop.yaml:8: `serving`: `probes` should be at most `partitions`. Received: 3 > 2",
        ),
        ("label: rating", "weight: 1", "shop.yaml:10: `tasks.rating.label`: is required and missing"),
        (
            "kind: numeric",
            "kind: number",
            "shop.yaml:7: `features.user[0]`: `kind` should be one of categorical, multi_valued, text, numeric, time, "
            "cross. Did you mean `numeric`? Received: 'number'",
        ),
        (", kind: numeric", "", "shop.yaml:7: `features.user[0]`: needs the key `kind`. Received: {'name': 'age'}"),
        (
            "tasks:",
            "split: {method: leave_last}\ntasks:",
            "shop.yaml:8: `split.method`: should be one of global_time, leave_last_out, random, user_hash. "
            "Did you mean `leave_last_out`? Received: 'leave_last'",
        ),
        (
            "tasks:",
            "model: {dimension: -1}\ntasks:",
            "shop.yaml:8: `model.dimension`: should be greater than 0. Received: -1",
        ),
        (
            "tasks:",
            "cleaning: 3\ntasks:",
            "shop.yaml:8: `cleaning`: should hold keys: duplicates, outliers, core, unseen_items, "
            "max_future_days, min_overlap, max_bad_share. "
            "Received: 3",
        ),
        (
            "path: events.csv",
            "path: events.csv, separator: '\\t'",
            "shop.yaml:4: `data.interactions.separator`: should be plain characters, no line end "
            "(a tab is \"\\t\", in double quotes). Received: '\\\\t'",
        ),
        ("data:", "name: b\ndata:", "shop.yaml:2: `name`: is repeated; first in line 1"),
    ],
)
def test_error_names_line_key_found_and_allowed(old, new, expected):
    assert error_of(GOOD.replace(old, new, 1)) == expected


@pytest.mark.parametrize(("separator", "should"), [("", "have at least 1"), ("a\n", "be plain"), (r"\s+", "be plain")])
def test_a_separator_is_some_characters_of_a_line(separator, should):
    path = f"path: events.csv, separator: {json.dumps(separator)}"
    assert f"`data.interactions.separator`: should {should} " in error_of(GOOD.replace("path: events.csv", path))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("quote: ''", "`data.interactions.quote`: should be one ASCII character"),
        ("quote: ','", "`data.interactions`: `quote` should not be `separator`. Received: ',' for both"),
    ],
)
def test_a_quote_is_another_character(keys, expected):
    assert expected in error_of(GOOD.replace("path: events.csv", f"path: events.csv, {keys}"))


def test_every_problem_is_reported_at_once():
    text = GOOD.replace("numeric", "number").replace("path:", "pth:")
    assert len(error_of(text).splitlines()) == 3  # the kind, the unknown `pth`, the missing `path`


def test_what_is_no_yaml_is_named():
    assert error_of("name: [").startswith("shop.yaml:1:8: is not YAML: ")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read \(No such file"):
        load_config(tmp_path / "none.yaml")


def test_a_dump_leaves_out_what_it_is_told_to():
    values = json.loads(dump_config(load_config(CONFIGS[-1]), "evaluation", "-evaluation.gates", "-evaluation.unset"))
    assert set(values) == {"name", "data", "evaluation"}
    assert values["evaluation"]
    assert "gates" not in values["evaluation"]


def test_changed_infra_gates_do_not_train_again():
    plain, gated = (
        parse_config(GOOD + f"serving: {{default_k: 5{infra}}}\n") for infra in ("", ", infra: {max_p99_ms: 5}")
    )
    assert dump_config(gated, *TRAINER) == dump_config(plain, *TRAINER)
    assert dump_config(gated, *INFRA) != dump_config(plain, *INFRA)


def test_one_server_validates():
    assert "`binary` and `image` should not both be given" in error_of(
        GOOD + "serving: {infra: {binary: a, image: b}}\n"
    )


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "/etc", ".hidden", "a\\b", "a b", "a:1", "-a", "a" * 101])
def test_a_model_name_that_is_no_folders_name_is_refused(name):
    error = error_of(GOOD + f"serving: {{model_name: {json.dumps(name)}}}\n")
    assert "`serving.model_name`: should be letters, digits, `_`, `-` and `.`" in error
    assert f"Received: {name!r}" in error


def test_names_that_become_file_names_are_bounded():
    assert parse_config(GOOD + "serving: {model_name: Shop_1.v2-b}\n").serving.model_name == "Shop_1.v2-b"
    assert "`name`: should have at most 100 characters" in error_of(GOOD.replace("name: shop", f"name: {'s' * 101}"))
    image = error_of(GOOD + "serving: {infra: {image: --privileged}}\n")
    assert "`serving.infra.image`: should match pattern" in image  # Docker would read it as a flag


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "path: events.csv",
            "path: events.csv, item: no",
            "(on, off, yes, no, true, false) it is False. Put it in",
        ),
        (
            "path: events.csv",
            "path: events.csv, user: 2020-09-22",
            "it is date datetime.date(2020, 9, 22). Put it in",
        ),
        ("label: rating", "label: 1", "should be text, and to YAML it is int 1. Put it in quotes"),
        ("name: age", "name: Age", "Give the feature a name such as 'age'; `column: Age` reads it. Received: 'Age'"),
        ("name: age", 'name: "prix €"', "a name such as 'prix'; `column: prix €` reads it"),
        ("path: events.csv", "path: events.csv, missing: [NULL]", "to YAML one of them is None: put it in quotes"),
        ("path: events.csv", "path: events.csv, columns: [a, a]", "should not name a column twice. Received: 'a'"),
        ("path: events.csv", "path: events.csv, escape: ','", "should be neither `quote` nor `separator`"),
    ],
)
def test_what_yaml_made_of_a_name_is_said(old, new, expected):
    assert expected in error_of(GOOD.replace(old, new, 1))


@pytest.mark.parametrize("found", ["USER_ID", "UserId", "user id", "usr_id"])
def test_a_suggestion_whatever_the_case(found):
    assert suggestion("user_id", [found, "Item_ID"]) == f"Did you mean `{found}`? "
