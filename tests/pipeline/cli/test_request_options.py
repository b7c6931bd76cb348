import argparse
from datetime import UTC, datetime

import pytest

from config import Config, parse_config
from pipeline.cli.common import CommandError
from pipeline.cli.request_options import add_request_options, with_request_options
from serving.client.request import Request

YAML = """
name: shop
data: {folder: data, interactions: {path: e.csv}, items: {path: i.csv, id: item_id}}
features:
  item:
    - {name: genres, kind: multi_valued}
    - {name: year, kind: numeric}
    - {name: added, kind: time}
"""
SERVING = """
serving: {allow_list: true, filters: [genres, year, added], diversity: {caps: {genres: 0}}}
"""


def asked(config: Config, *words: str) -> Request:
    parser = argparse.ArgumentParser()
    add_request_options(parser)
    return with_request_options(config, Request(user_id="u"), parser.parse_args(words))


def test_options_become_the_request() -> None:
    words = "--filter genres=Sci-Fi --filter genres=Drama --filter year>=1991 --filter added<=2024-05-06 --allow a b"
    request = asked(parse_config(YAML + SERVING), *words.split(), "--diversity", "0.3", "--cap", "genres=2")
    assert request == Request(
        user_id="u",
        allow=["a", "b"],
        any_of={"genres": ["Sci-Fi", "Drama"]},
        at_least={"year": 1991.0},
        at_most={"added": datetime(2024, 5, 6, tzinfo=UTC)},
        diversity=0.3,
        caps={"genres": 2},
    )


def test_a_number_may_be_asked_for_itself() -> None:
    request = asked(parse_config(YAML + SERVING), "--filter", "year=1991")
    assert (request.at_least, request.at_most) == ({"year": 1991.0}, {"year": 1991.0})


def test_without_options_the_request_stays() -> None:
    assert asked(parse_config(YAML)) == Request(user_id="u", allow=[])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--filter", "price>=3"], "of genres, year, added. Received: 'price>=3'"),
        (["--filter", "drama"], "should be NAME=VALUE"),
        (["--filter", "genres>=Drama"], "genres has no order"),
        (["--filter", "year=old"], "`--filter`: could not convert"),
        (["--cap", "genres>=2"], "`--cap` should be NAME=VALUE"),
        (["--cap", "genres=two"], "`--cap`: invalid literal"),
        (["--diversity", "2"], "`diversity` should be from 0 to 1"),
    ],
)
def test_wrong_options_say_what_is_wrong(words: list[str], message: str) -> None:
    with pytest.raises(CommandError) as caught:
        asked(parse_config(YAML + SERVING), *words)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("words", "key"),
    [(["--allow", "a"], "allow_list"), (["--diversity", "0.1"], "diversity"), (["--cap", "genres=1"], "diversity")],
)
def test_a_model_that_cannot_be_asked_so_is_named(words: list[str], key: str) -> None:
    with pytest.raises(CommandError, match=key):
        asked(parse_config(YAML), *words)
