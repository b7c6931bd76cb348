import pytest

from config import ConfigError, parse_config
from pipeline.checks.configuration import checked_config
from pipeline.checks.embeddings import check_embeddings

YAML = """\
name: shop
data: {{folder: data, interactions: {{path: events.csv}}, items: {{path: items.csv, id: item_id}}}}
features:
  item: [{{name: genres, kind: multi_valued}}, {{name: price, kind: numeric}}]
tasks: {tasks}
model: {model}
serving: {serving}
"""
RETRIEVAL = "{retrieval: {kind: retrieval}}"
SHARED = "tables: {default: unified}, unified: {rows: 100, width: 16}"


def text(model: str, tasks: str = RETRIEVAL, serving: str = "{}") -> str:
    return YAML.format(model=model, tasks=tasks, serving=serving)


def test_every_form_is_allowed_where_it_fits():
    tables = "{item_id: {method: quotient_remainder, rows: 9}, item_genres: {method: hash, rows: 5}, default: unified}"
    config = parse_config(text(f"{{tables: {tables}, user_id: both, unified: {{rows: 100}}}}"))
    assert list(check_embeddings(config)) == []
    assert config.model.table("user_id").method == "unified"
    assert config.model.table("item_genres").rows == 5


@pytest.mark.parametrize(
    ("model", "location", "message"),
    [
        (
            "{tables: {item_genre: {method: hash, rows: 5}}}",
            "model.tables.item_genre",
            "should name a table (item_id, item_genres, default). Did you mean `item_genres`? Received: 'item_genre'",
        ),
        (
            "{tables: {item_price: {method: hash, rows: 5}}}",
            "model.tables.item_price",
            "should name a table (item_id, item_genres, default). Did you mean `item_id`? Received: 'item_price'",
        ),
        (
            "{tables: {user_id: {method: hash, rows: 5}}}",
            "model.tables.user_id",
            "should be left out with `user_id: ranking` and these tasks",
        ),
        (
            "{tables: {item_id: unified}}",
            "model.tables.item_id",
            "`unified` needs the section `model.unified`, the rows that all share",
        ),
        (
            "{unified: {rows: 100}}",
            "model.unified",
            "should be left out: no table of `model.tables` is `unified`",
        ),
        (
            f"{{dimension: 40, {SHARED}}}",
            "model.unified.width",
            "should be a divisor of the dimension of each table that is `unified`, and that of item_id is 40. "
            "Received: 16",
        ),
        (
            "{tables: {default: unified}, unified: {rows: 100, width: 16, tables: 6}}",
            "model.unified.tables",
            "should be at most 5, the number of rows that the vectors of all `unified` tables consist of. Received: 6",
        ),
    ],
)
def test_what_does_not_fit_is_named(model, location, message):
    found = [(".".join(key), problem) for key, problem in check_embeddings(parse_config(text(model)))]
    assert found == [(location, message)]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("hash", "`hash` needs `rows`, the number of rows that ids share"),
        ("{method: full, rows: 5}", "`rows` should be left out with `full`. Received: 5"),
        ("{method: hash, rows: 5, combine: sum}", "`combine` should be left out with `hash`. Received: sum"),
    ],
)
def test_parameters_belong_to_their_form(form, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(text(f"{{tables: {{item_id: {form}}}}}"))


def test_the_command_reads_these_checks(tmp_path):
    path = tmp_path / "shop.yaml"
    ranking = "{rating: {kind: regression, label: rating}}"
    path.write_text(text("{unified: {rows: 100}}", ranking, "{embeddings: true}"))
    with pytest.raises(ConfigError) as caught:
        checked_config(path, with_data=False)
    assert [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()] == [
        "6: `model.unified`: should be left out: no table of `model.tables` is `unified`",
        "7: `serving.embeddings`: are those of the retrieval task, and `tasks` holds none",
    ]
