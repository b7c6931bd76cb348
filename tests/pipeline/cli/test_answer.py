import pytest

from config import parse_config
from pipeline.cli.answer import show_explanations, show_history, show_items
from pipeline.cli.user_history import UserHistory
from serving.client import Explanation, Influence, Recommendation

CONFIG = """
name: shop
data:
  folder: {folder}
  interactions: {path: events.csv}
  items: {path: items.csv, id: item_id}
features:
  item:
    - {name: colour, kind: categorical}
    - {name: title, kind: text}
"""


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "items.csv").write_text(f"item_id,title,colour\n1,Shoe,red\n2,{'Long ' * 40},\n")
    return parse_config(CONFIG.replace("{folder}", str(tmp_path)))


def test_items_have_rank_texts_and_every_score(shop, capsys):
    scores = {"like": 0.25, "retrieval_score": -1.5}
    show_items(shop, [Recommendation("1", 0.5, scores), Recommendation("9", 0.125, scores)], version=7)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["Recommended", "by", "version", "7"] in lines
    assert ["#", "item", "title", "colour", "score", "retrieval", "like"] in lines
    assert ["1", "1", "Shoe", "red", "0.500", "-1.500", "0.250"] in lines
    assert ["2", "9", "0.125", "-1.500", "0.250"] in lines  # an item that the table lacks


def test_explanations_have_shares_and_events_of_each_item(shop, capsys):
    parts = {"like": -1.0, "retrieval_score": 3.0}
    first = Explanation("1", 2.0, parts, [Influence("2", 0.5, 3), Influence("9", -0.25, 1)])
    show_explanations(shop, [first, Explanation("9", 0.0, {"like": 0.0, "retrieval_score": 0.0}, [])])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    header = "item title retrieval like because of title events ago moved it by"
    assert header.split() in lines
    rows = [line for line in lines if line and line[0] in ("1", "9")]
    assert rows[0][:5] == ["1", "Shoe", "+75%", "-25%", "2"]
    assert rows[0][-2:] == ["3", "+0.500"]
    assert rows[1] == ["9", "1", "-0.250"]  # the second event: the item is not repeated
    assert rows[2] == ["9", "+0%", "+0%"]


def test_history_shows_features_times_and_outcomes_and_cuts_long_titles(shop, capsys):
    history = UserHistory(
        "7", ["2", "1"], [0, 90], {"outcome_rating": [None, 4.0], "context_page": ["a", "b"]}, {"user_age": [24.0]}
    )
    show_history(shop, history)
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert "User 7 (age 24): the last 2 events" in out
    assert ["1970-01-01", "00:01", "1", "Shoe", "red", "4"] in lines
    assert max(map(len, out.splitlines())) <= 120
    assert "…" in out


def test_texts_are_printed_as_they_are(shop, tmp_path, capsys):
    titles = ["Il Postino [import]", "AC [/DC]", "[red]Ten :heart: Things[/red]"]
    rows = "".join(f"{item},{title},\n" for item, title in enumerate(titles))
    (tmp_path / "items.csv").write_text(f"item_id,title,colour\n{rows}")
    ids = [str(item) for item in range(len(titles))]
    show_items(shop, [Recommendation(item, 0.5, {}) for item in ids], version=7)
    show_history(shop, UserHistory("[/7]", ids, [], {}, {"user_place": ["[/home]"]}))
    show_history(shop, UserHistory("[/8]", [], [], {}, {}))
    out = capsys.readouterr().out
    for text in titles:
        assert out.count(text) == 2
    assert "User [/7] (place [/home]): the last 3 events" in out
    assert "User [/8]: no history in the log" in out


def test_user_without_history(shop, capsys):
    show_history(shop, UserHistory("8", [], [], {}, {}))
    assert capsys.readouterr().out == "User 8: no history in the log\n"
