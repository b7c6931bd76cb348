"""Checks the forms of embedding tables: the tables that they name, and the dimensions of those that share rows."""

from collections.abc import Iterator

from config import Config, feature_names
from config.embedding_tables import DEFAULT
from config.errors import Problem, suggestion
from config.table_sizes import features


def check_embeddings(config: Config) -> Iterator[Problem]:
    """Returns the problems of `model.tables` and `model.unified`."""
    model, widths = config.model, embedding_widths(config)
    allowed = [*widths, DEFAULT]
    for name in model.tables:
        if name == feature_names.USER_ID and name not in widths:
            yield ("model", "tables", name), f"should be left out with `user_id: {model.user_id}` and these tasks"
        elif name not in allowed:
            known = f"should name a table ({', '.join(allowed)}). {suggestion(name, allowed)}"
            yield ("model", "tables", name), f"{known}Received: {name!r}"
    unified = [name for name in widths if model.table(name).method == "unified"]
    if model.unified is None:
        named = [name for name in model.tables if model.tables[name].method == "unified"]
        for name in named:
            yield ("model", "tables", name), "`unified` needs the section `model.unified`, the rows that all share"
        return
    if not unified:
        yield ("model", "unified"), "should be left out: no table of `model.tables` is `unified`"
    for name in unified:
        if widths[name] % model.unified.width:
            of = f"of the dimension of each table that is `unified`, and that of {name} is {widths[name]}"
            yield ("model", "unified", "width"), f"should be a divisor {of}. Received: {model.unified.width}"
    rows = sum(widths[name] // model.unified.width for name in unified)
    if unified and model.unified.tables > rows:
        most = f"should be at most {rows}, the number of rows that the vectors of all `unified` tables consist of"
        yield ("model", "unified", "tables"), f"{most}. Received: {model.unified.tables}"


def embedding_widths(config: Config) -> dict[str, int]:
    """Returns the dimensions of the model's embedding tables by their keys in `model.tables`."""
    model = config.model
    ids = (feature_names.ITEM_ID, *((feature_names.USER_ID,) if config.embeds_users else ()))
    categories = (name for _, name, feature in features(config) if feature.category_count(0) is not None)
    return dict.fromkeys(ids, model.dimension) | dict.fromkeys(categories, model.feature_dimension)
