import yaml

from config import parse_config
from pipeline.validation.measures import JENSEN_SHANNON, L_INFINITY, measures, window_measures
from tests.synthetic import default_config

CONFIG = default_config("data")
CONFIG["features"]["item"] += [{"name": "mix", "kind": "cross", "of": ["genre", "maker"]}]
CONFIG["features"]["context"] += [{"name": "hour", "kind": "time", "column": "timestamp"}]
CONFIG["tasks"]["genre"] = {"kind": "multiclass", "attribute": "genres"}
CONFIG["tasks"]["page"] = {"kind": "listwise", "label": "rating", "session": "visit"}


def test_ids_and_categories_have_another_measure_than_numbers_and_texts_and_times_have_none() -> None:
    config = parse_config(yaml.safe_dump(CONFIG))
    windows = {
        "user_id": L_INFINITY,
        "item_id": L_INFINITY,
        "user_age": JENSEN_SHANNON,
        "user_gender": L_INFINITY,
        "context_device": L_INFINITY,
        "outcome_rating": JENSEN_SHANNON,
        "is_positive": JENSEN_SHANNON,
        "label_rating": JENSEN_SHANNON,
        "label_like": JENSEN_SHANNON,
        "label_page": JENSEN_SHANNON,
    }
    assert window_measures(config) == windows
    catalogue = {
        "item_genres": L_INFINITY,
        "item_year": JENSEN_SHANNON,
        "item_genre": L_INFINITY,  # a cross has none, its columns have
        "item_maker": L_INFINITY,
    }
    assert measures(config) == windows | catalogue
