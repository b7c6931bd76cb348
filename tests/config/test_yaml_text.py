"""Texts that are no configuration, each with the one message that it ends in."""

import time
from itertools import pairwise

import pytest

from config import ConfigError, load_config, parse_config

BASE = "name: shop\ndata: {folder: d, interactions: {path: e.csv}}\n"
BIAS = "abcdefghijkl"


def bomb(first: str, level: str) -> str:
    """Nine times as many values in each line as in the line before: 9^12 in the last."""
    lines = [f"{BIAS[0]}: &{BIAS[0]} {first}"]
    for before, name in pairwise(BIAS):
        lines.append(f"{name}: &{name} {level.format(','.join([f'*{before}'] * 9))}")
    return "\n".join(lines) + "\n"


BOMBS = {
    "lists": bomb("[1, 1, 1, 1, 1, 1, 1, 1, 1]", "[{}]"),
    "merges": bomb("{x: 1}", "{{<<: [{}]}}"),
    "texts": bomb("x" * 1000, "[{}]"),
}


def error_of(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "shop.yaml")
    return str(caught.value)


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_a_bomb_of_aliases_ends_at_once(text):
    began = time.monotonic()
    assert "the text is more than 10,000 values here, with its aliases expanded" in error_of(text)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tasks: " + "[" * 500 + "]" * 500, "shop.yaml:3:57: the text nests more than 50 levels deep here"),
        ("tasks: " + "{a: " * 3000 + "1" + "}" * 3000, "the text nests more than 50 levels deep here"),
        ("tasks: &all {x: *all}", "shop.yaml:3:17: the alias *all refers to a value that contains it"),
        ("training: {seed: 1" + "0" * 308 + "}", "shop.yaml:3:18: '1000"),
        ("training: {seed: 1" + "0" * 5000 + "}", "... is not a valid int"),
        ("training: {seed: 0x1" + "0" * 5000 + "}", "... is beyond 64 bits"),
        ("training: {seed: '1" + "0" * 30 + "'}", "`training.seed`: should be at most 9223372036854775807 in size"),
        ("training: {optimizer: {learning_rate: .inf}}", "`training.optimizer.learning_rate`: should be a finite num"),
        ("cleaning: {outliers: [{column: x, min: .nan}]}", "`cleaning.outliers[0].min`: should be a finite number"),
        ("positive: 2020-13-45", "shop.yaml:3:11: '2020-13-45' is not a valid timestamp"),
        ("positive: !!timestamp x", "shop.yaml:3:11: 'x' is not a valid timestamp"),
        ('positive: "a\\0"', "shop.yaml:3:11: 'a\\x00' holds a character that no UTF-8 text or file name has"),
        ('positive: "\\ud800"', "holds a character that no UTF-8 text"),
        ("positive: !!python/name:os.system x", "shop.yaml:3:11: is not YAML: could not determine a constructor"),
        ("tasks: {on: 1}", '`tasks.on`: should be text, and YAML reads it as a truth value. Write it in quotes: "on"'),
        ("1: x", 'shop.yaml:3: `1`: should be text, and YAML reads it as a number. Write it in quotes: "1"'),
        ("? [a]\n: x", "shop.yaml:3: `(a seq)`: should be text, and YAML reads it as a seq."),
        ("training:\n  epochs: 1\n  epochs: 2", "shop.yaml:5: `training.epochs`: is repeated; first in line 4"),
        ("\t- x", "shop.yaml:3:1: is not YAML: found character '\\t' that cannot start any token"),
        ("---\nname: x", "shop.yaml:3:1: is not YAML: but found another document"),
        ("k" * 1000 + ": 1", "`" + "k" * 77 + "...`: unknown key"),
    ],
)
def test_there_is_one_message(line, expected):
    message = error_of(f"{BASE}{line}\n")
    assert expected in message
    assert "\n" not in message


def test_aliases_and_merges_within_bounds_are_read():
    text = "base: &base {path: e.csv}\n"
    config = parse_config("name: shop\ndata: {folder: d, interactions: &t {path: e.csv}, items: {<<: *t, id: sku}}\n")
    assert config.data.items.path == "e.csv"
    assert "unknown key" in error_of(text + BASE)


def test_the_first_problems_are_told_and_the_rest_counted():
    lines = error_of(BASE + "".join(f"k{number}: 1\n" for number in range(200))).splitlines()
    assert len(lines) == 51
    assert lines[-1] == "and 150 more problems"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "cannot be read (Is a directory)"),
        (b"\xff\xfen\0", "is not UTF-8 text"),
        (b"#" * 2**21, "is larger than"),
    ],
)
def test_a_file_that_is_no_text(tmp_path, content, expected):
    path = tmp_path / "shop.yaml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: {expected}")
