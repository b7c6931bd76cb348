"""What is stacked on a network as arrays and JSON, and made again from them for a catalogue with more items."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.model.recommender import RecommenderModel
from trainer.stacking.bias_terms import BiasTerms
from trainer.stacking.blend import Blend, link_of
from trainer.stacking.factors import Factors, UserFactors
from trainer.stacking.history import OutcomeLabels, item_attributes
from trainer.stacking.neighbours import Neighbours, NeighbourTable, links_of
from trainer.stacking.rating_baseline import RatingBaseline
from trainer.stacking.recommender import StackedRecommender

Arrays = Mapping[str, NDArray[Any]]


def stacked_arrays(model: StackedRecommender) -> dict[str, tf.Variable]:
    """Returns the tables of neighbourhoods and baselines by name."""
    parts = {f"neighbours_{n}": t.arrays for n, t in enumerate(model.neighbours.tables)} if model.neighbours else {}
    parts |= {f"baseline_{n}": baseline.arrays for n, baseline in enumerate(model.baselines)}
    return {f"{part}_{name}": values for part, arrays in parts.items() for name, values in arrays.items()}


def stacked_form(model: StackedRecommender) -> dict[str, Any]:
    """Returns all else that neighbourhoods and baselines are made of, as JSON holds it."""
    neighbours = model.neighbours and {
        "decays": [table.decay for table in model.neighbours.tables],
        "weights": dict(model.neighbours.weights),
    }
    return {"neighbours": neighbours, "baselines": [baseline.form for baseline in model.baselines]}


def restored_stack(form: Mapping[str, Any], arrays: Arrays, network: RecommenderModel) -> StackedRecommender:
    """Stacks what was kept on a network whose catalogue begins with the items of then.

    New items have no neighbours and no factors, and no bias but that of the unknown item, 0.

    Args:
        form: Of `stacked_form`.
        arrays: The values of `stacked_arrays`.
        network: With V' items, the first V of which are those that the arrays were made for.
    """
    size, kept, neighbours = network.spec.item_count, form["neighbours"], None
    if kept is not None:
        tables = [
            NeighbourTable(links_of(_named(arrays, f"neighbours_{n}_"), size), decay, name=f"table_{n}")
            for n, decay in enumerate(kept["decays"])
        ]
        neighbours = Neighbours(tables, size, kept["weights"])
    baselines = [
        _restored_baseline(own, _named(arrays, f"baseline_{n}_"), network) for n, own in enumerate(form["baselines"])
    ]
    return StackedRecommender(network, neighbours, baselines)


def _restored_baseline(form: Mapping[str, Any], arrays: Arrays, network: RecommenderModel) -> RatingBaseline:
    size, config = network.spec.item_count, network.config
    labels, factors = form["observed"], form["factors"]
    observed = labels and OutcomeLabels(labels["feature"], np.array(labels["label"]), np.array(labels["is_known"]))
    links = {name: links_of(_named(arrays, f"{name}_"), size) for name in form["tables"]}
    baseline = RatingBaseline(
        BiasTerms(form["mean"], arrays["user"], with_new_rows(arrays["item"], size + 1)),
        observed,
        {name: NeighbourTable(own, 1.0, name=name) for name, own in links.items()},
        factors and UserFactors(_factors(factors, arrays, size)),
        item_attributes(form["attributes"], network.spec.features, network.candidates.table),
        form["session_biases"],
        form["damping"],
    )
    for name, blend in form["blends"].items():
        task: Any = config.ranking[name]  # of a kind that has a baseline
        baseline.blends[name] = Blend(link_of(task), blend["intercept"], blend["weights"])
    return baseline


def _factors(form: Mapping[str, Any], arrays: Arrays, size: int) -> Factors:
    item, implicit = (with_new_rows(arrays[name], size + 1)[:-1] for name in ("item_factors", "item_profiles"))
    return Factors(item, implicit, np.array(form["start"]), form["noise"])


def with_new_rows(values: NDArray[Any], rows: int) -> NDArray[Any]:
    """Adds new items' rows, copies of the last one, the unknown item's: [V + 1, ...] -> [`rows`, ...].

    For example, [1, 2, 0] with 5 rows is [1, 2, 0, 0, 0].
    """
    return np.concatenate([values, np.repeat(values[-1:], rows - len(values), axis=0)])


def _named(arrays: Arrays, prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
