from config.data import MISSING
from pipeline.ingest.columns import Column, Plan
from tests.pipeline.ingest.reference import config_of

TABLES = {
    "folder": "-",
    "interactions": {"path": "i.csv", "user": "reader", "item": "isbn", "time": "when"},
    "items": {"path": "b.csv", "id": "isbn"},
}


def test_every_kind_of_feature_becomes_columns():
    features = {
        "item": [
            {"name": "genres", "kind": "multi_valued", "separator": ","},
            {"name": "published", "column": "year", "kind": "numeric"},
            {"name": "title", "kind": "text"},
            {"name": "added", "kind": "time"},
            {"name": "cross", "kind": "cross", "of": ["year", "title"]},
        ]
    }
    plan = Plan(config_of(data=TABLES, features=features))
    assert plan.item == (
        Column("item_genres", "genres", "list", ",", is_token=True, missing=MISSING),
        Column("item_published", "year", "number"),
        Column("item_title", "title", "text", " "),
        Column("item_added", "added", "time"),
        Column("item_year", "year", "text"),  # of the cross; `title` is there already
    )
    assert plan.entity_sources(plan.config.data.items, plan.item) == ("isbn", "genres", "year", "title", "added")


def test_columns_of_the_interactions():
    plan = Plan(
        config_of(
            data=TABLES,
            positive="kind == 'buy' and price > 1",
            cleaning={"outliers": [{"column": "dwell", "max": 9}]},
            tasks={"r": {"kind": "regression", "label": "stars", "where": "kind != 'view'"}},
            features={
                "user": [{"name": "age", "kind": "numeric"}],
                "context": [{"name": "hour", "column": "when", "kind": "time"}],
                "outcome": [{"name": "stars", "kind": "categorical"}],
            },
        )
    )
    assert plan.number_columns == ("price", "stars", "dwell", "age")
    assert set(plan.event_sources) == {"reader", "isbn", "when", "price", "stars", "dwell", "age", "kind"}
    assert [c.name for c in plan.event] == ["context_hour", "outcome_stars"]
    assert [c.name for c in plan.user_from_events] == ["user_age"]


def test_with_a_users_table_the_interactions_need_no_user_features():
    users = {"users": {"path": "u.csv", "id": "id"}}
    plan = Plan(config_of(data=TABLES | users, features={"user": [{"name": "age", "kind": "numeric"}]}))
    assert plan.user_from_events == ()
    assert "age" not in plan.event_sources
