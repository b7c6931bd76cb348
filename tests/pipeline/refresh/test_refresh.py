"""The command `refresh` on a small stacked model, as a run would have left it: from a table to a served version."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf
import yaml
from ml_metadata.proto import metadata_store_pb2 as mlmd

from config import Config, dump_config, parse_config
from config.dump import TRAINER
from pipeline.cli.main import main
from pipeline.lineage import read_history
from pipeline.metadata import open_store, readable_store, sqlite_connection
from pipeline.push.versions import push_version
from pipeline.push.withdraw import version_numbers
from tests.trainer.served import ITEMS, history, serialized, shop, transform_graph
from tests.trainer.small import write_rows
from trainer.data.batching import LabelStatistics
from trainer.data.catalogue import load_catalogue
from trainer.export.kept_model import Kept, UnsupportedRefreshError, why_not_kept
from trainer.export.prediction_log import GOLDEN_RESPONSES_FILE, write_golden_responses
from trainer.export.saved_model import Exported, export_model
from trainer.model.recommender import RecommenderModel
from trainer.stacking.bias_terms import BiasTerms
from trainer.stacking.blend import Blend
from trainer.stacking.factors import Factors, UserFactors
from trainer.stacking.history import OutcomeLabels, item_attributes
from trainer.stacking.neighbours import Neighbours, NeighbourTable
from trainer.stacking.rating_baseline import RatingBaseline
from trainer.stacking.recommender import StackedRecommender
from transform.features import model_features, user_vocabulary_size

TABLE = [
    ("n0", "war"),
    *((item, "drama" if n % 2 else "war|noir") for n, item in enumerate(ITEMS) if item not in ("i2", "i3", "i7")),
    ("i3", "war"),
    ("n1", "never seen"),
    ("n0", "noir"),
    ("", "war"),
]
"""Without i2 and i7, with other genres of i3; the last two rows are a duplicate and a bad one."""
EVENTS = ["i0", "i2", "i5"]
Models = tuple[Any, Any]


def _config(folder: Path) -> Config:
    tasks = {"retrieval": {"kind": "retrieval"}, "rating": {"kind": "regression", "label": "rating", "min": 1}}
    infra = {"requests": 2, "latency_requests": 4}
    serving = {"candidates": 50, "default_k": 3, "max_k": 50, "exclude_history": False, "infra": infra}
    serving |= {"utility": {"retrieval": 1.0, "rating": 1.0}}
    pipeline, cleaning = {"root": str(folder)}, {"max_bad_share": 0.2}
    values = shop(tasks=tasks, serving=serving, pipeline=pipeline, cleaning=cleaning).model_dump(
        mode="json", exclude_unset=True
    )
    values["features"]["context"] = []
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    return parse_config(yaml.safe_dump(values))


def _stacked(network: RecommenderModel) -> StackedRecommender:
    """Neighbourhoods, and a baseline with every part, of drawn numbers."""
    rng, size = np.random.default_rng(0), len(ITEMS)
    links = [sp.csr_matrix(rng.random((size, size)) * (rng.random((size, size)) < 0.5)) for _ in range(2)]
    neighbours = Neighbours([NeighbourTable(links[0], 0.8, "table_0")], size, {"cosine": 0.3})
    observed = OutcomeLabels("outcome_rating", np.array([4.0, 3.0, 2.0]), np.array([True, True, False]))
    users, items = np.append(rng.random(network.spec.user_count), 0), np.append(rng.random(size), 0)
    factors = Factors(rng.random((size, 3)), rng.random((size, 3)), rng.random(3), 0.5)
    baseline = RatingBaseline(
        BiasTerms(3.5, users, items),
        observed,
        {"cosine": NeighbourTable(links[1], 1.0, "cosine")},
        UserFactors(factors),
        item_attributes(["genres"], network.spec.features, network.candidates.table),
        {"session_bias_3600": 3600},
        2.0,
    )
    weights = {"network": 0.5, **dict.fromkeys(baseline.names, 0.1)}
    baseline.blends["rating"] = Blend.for_task(network.config.ranking["rating"], 3.5, weights)
    return StackedRecommender(network, neighbours, [baseline])


@dataclass(frozen=True)
class Shop:
    folder: Path
    config: Config
    network: RecommenderModel
    exported: Exported

    @property
    def serving(self) -> Path:
        return self.folder / "shop" / "serving" / "recommender"

    def command(self, name: str, *arguments: str) -> int:
        return main([name, "--config", str(self.folder / "config.yaml"), *arguments])

    def table(self, rows: list[tuple[str, str]], name: str = "new.csv") -> str:
        path = self.folder / name
        path.write_text("\n".join(["item_id,genres", *(",".join(row) for row in rows)]) + "\n")
        return str(path)


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A pushed version, and the artifacts and metadata of its training."""
    folder = tmp_path_factory.mktemp("refresh")
    config = _config(folder)
    graph = transform_graph(config, folder / "graph")
    for split in ("train", "eval", "items"):
        (folder / f"examples/Split-{split}").mkdir(parents=True)
    number = {value.decode(): n for n, value in enumerate(graph.vocabulary_by_name("item_genres"))}
    drama, war_and_noir = [number["drama"]], [number["war"], number["noir"]]
    genres = [drama if n % 2 else war_and_noir for n in range(len(ITEMS))]
    rows = [{"catalogue_id": [n], "item_genres": genres[n]} for n in range(len(ITEMS))]
    items = write_rows(folder / "examples/Split-items/data.gz", rows)
    (folder / "raw/Split-eval").mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "raw/Split-eval/data.gz"), "GZIP") as writer:
        writer.write(serialized(history("u0", [*EVENTS, "i6"], is_target=[0, 0, 0, 1]))[0].numpy())
    tf.keras.utils.set_random_seed(1)
    features, users = model_features(config, graph), user_vocabulary_size(graph)
    statistics = {"rating": LabelStatistics(3.0, 2.0)}
    network = RecommenderModel(config, features, load_catalogue(items, graph, config), users, statistics)
    for variable in network.trainable_variables:  # none of zeros only, as the biases are
        variable.assign_add(tf.random.stateless_normal(variable.shape, [1, 2], stddev=0.1))
    exported = export_model(_stacked(network), graph, config, str(folder / "model/Format-Serving"))
    rank = {"rank": exported.signatures["rank"]}
    (folder / "run").mkdir()
    raw, responses = str(folder / "raw/Split-eval/*"), str(folder / "run" / GOLDEN_RESPONSES_FILE)
    write_golden_responses(rank, exported.some_items(), raw, responses)
    shop = Shop(folder, config, network, exported)
    version, path = push_version(str(folder / "model/Format-Serving"), str(shop.serving))
    _record(shop, version, path)
    return shop


def _record(shop: Shop, version: int, path: str) -> None:
    """Records what the Trainer and the Pusher would have."""
    proto: Any = mlmd
    store = open_store(sqlite_connection(shop.folder / "shop" / "metadata.sqlite"))
    context = proto.Context(type_id=store.put_context_type(proto.ContextType(name="pipeline")), name="shop")
    context.id = store.put_contexts([context])[0]

    def artifact(kind: str, folder: str) -> Any:
        return proto.Artifact(type_id=store.put_artifact_type(proto.ArtifactType(name=kind)), uri=folder)

    def execute(kind: str, inputs: dict[str, Any], outputs: dict[str, Any], **properties: str) -> None:
        execution = proto.Execution(type_id=store.put_execution_type(proto.ExecutionType(name=kind)))
        for name, value in properties.items():
            execution.custom_properties[name].string_value = value
        pairs = []
        for named, way in ((inputs, proto.Event.INPUT), (outputs, proto.Event.OUTPUT)):
            for name, own in named.items():
                event = proto.Event(type=way)
                event.path.steps.add().key = name
                pairs.append((own, event))
        ids = store.put_execution(execution, pairs, [context])[1]
        for (own, _), number in zip(pairs, ids, strict=True):
            own.id = number

    places = {"examples": "examples", "transform_graph": "graph", "raw_examples": "raw"}
    inputs = {name: artifact(name, str(shop.folder / place)) for name, place in places.items()}
    model, run = artifact("Model", str(shop.folder / "model")), artifact("ModelRun", str(shop.folder / "run"))
    custom = json.dumps({"config": dump_config(shop.config, *TRAINER)})
    execute("Trainer", inputs, {"model": model, "model_run": run}, custom_config=custom)
    made = artifact("PushedModel", path)
    made.custom_properties["pushed_version"].string_value = str(version)
    execute("Pusher", {"model": model}, {"pushed_model": made})


@dataclass(frozen=True)
class Refreshed:
    shop: Shop
    output: str
    versions: list[int]


@pytest.fixture(scope="module")
def refreshed(pushed: Shop) -> Refreshed:
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("builtins.print", lambda *values, **named: lines.append(" ".join(map(str, values))))
        code = pushed.command("refresh", "--items", pushed.table(TABLE))
    assert code == 0, lines
    return Refreshed(pushed, "\n".join(lines), version_numbers(pushed.serving))


@pytest.fixture(scope="module")
def models(refreshed: Refreshed) -> Models:
    """The model as it was exported, and as it was pushed with another catalogue."""
    return refreshed.shop.exported, tf.saved_model.load(str(refreshed.shop.serving / str(refreshed.versions[1])))


def _scores(model: Any, events: list[str], k: int = 50) -> dict[str, float]:
    request = serialized({"user_id": ["u0"], "item_id": events, "outcome_rating": ["4"] * len(events), "k": [k]})
    answer = {name: values.numpy()[0] for name, values in model.signatures["recommend"](examples=request).items()}
    ids = answer["item_id"][: answer["count"]]
    return dict(zip((item.decode() for item in ids), answer["score"].tolist(), strict=False))


def test_it_says_what_was_changed_and_that_no_weight_was(refreshed: Refreshed) -> None:
    old, new = refreshed.versions
    assert "table: 10 rows, 8 items; missing item_id: 1, duplicate: 1" in refreshed.output
    assert "catalogue: 8 items; 2 new, 2 withdrawn, 1 with changed features" in refreshed.output
    found = re.search(r"before (\w{64}), after (\w{64})$", refreshed.output, re.M)
    assert found is not None
    assert found[1] == found[2]
    assert f"version {new}, a refresh of version {old}" in refreshed.output
    assert re.search(r"latency: p50 \d+\.\d ms, p99 \d+\.\d ms \(embedded server\)", refreshed.output)


def test_new_items_are_recommended_and_withdrawn_ones_are_not(models: Models) -> None:
    old, new = (_scores(model, EVENTS) for model in models)
    assert set(old) == set(ITEMS)
    assert set(new) == {"n0", "n1", "i0", "i1", "i3", "i4", "i5", "i6"}


def test_unchanged_items_keep_their_scores_also_after_a_withdrawn_one(models: Models) -> None:
    old, new = (_scores(model, EVENTS) for model in models)
    for item in ("i0", "i1", "i4", "i5", "i6"):
        assert new[item] == pytest.approx(old[item], abs=1e-5)
    assert new["i3"] != pytest.approx(old["i3"], abs=1e-3), "its genres are others"


def test_a_new_item_is_embedded_by_its_content_alone(pushed: Shop, models: Models) -> None:
    tower, embed = pushed.network.candidates, models[1].signatures["embed_candidate"]
    assert tower.content is not None
    found = embed(item_id=tf.constant(["n0"]))["embedding"].numpy()[0]
    vocabulary = (pushed.folder / "graph/transform_fn/assets/item_genres").read_text().split()
    content = tower.content({"item_genres": tf.constant([[vocabulary.index("war"), -1]])})
    np.testing.assert_allclose(found[:8], tower(tf.constant([0]), content).numpy()[0, :8], atol=1e-6)
    assert found[8] == pytest.approx(tower.bias.numpy()[:7].mean())  # i7 has no training positive


def test_a_new_item_in_a_history_is_known(models: Models) -> None:
    new = models[1]
    assert _scores(new, ["n0"]) != pytest.approx(_scores(new, ["nobody knows"]), abs=1e-4)


def test_the_metadata_and_the_list_of_versions_tell_of_the_refresh(
    refreshed: Refreshed, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = refreshed.versions
    history = read_history(readable_store(refreshed.shop.config), "shop")
    assert [(entry.version, entry.refresh_of) for entry in history] == [(old, None), (new, old)]
    assert history[0].model == history[1].model
    assert refreshed.shop.command("versions") == 0
    assert f"newest, a refresh of {old}" in capsys.readouterr().out


def test_a_table_that_lacks_most_items_is_refused(refreshed: Refreshed, capfd: pytest.CaptureFixture[str]) -> None:
    table = refreshed.shop.table([("i0", "war"), ("i1", "war")], "short.csv")
    assert refreshed.shop.command("refresh", "--items", table) == 3
    expected = "6 of 8 items are not in the new table (75%), and at most 50% may be withdrawn at once"
    assert expected in capfd.readouterr().out
    assert version_numbers(refreshed.shop.serving) == refreshed.versions


def test_tables_that_cannot_be_used_exit_with_2(refreshed: Refreshed, capfd: pytest.CaptureFixture[str]) -> None:
    shop = refreshed.shop
    assert shop.command("refresh", "--items", str(shop.folder / "none.csv")) == 2
    assert "none.csv" in capfd.readouterr().err
    assert shop.command("refresh", "--items", shop.table([("", "war"), ("i0", "war")], "bad.csv")) == 2
    assert "1 of 2 rows of the table `items` are bad" in capfd.readouterr().err
    (shop.folder / "lacks.csv").write_text("item_id\ni0\n")
    assert shop.command("refresh", "--items", str(shop.folder / "lacks.csv")) == 2
    assert "genres" in capfd.readouterr().err


def test_a_changed_weight_changes_the_digest(refreshed: Refreshed) -> None:
    kept = Kept.read(str(refreshed.shop.serving / str(refreshed.versions[1])))
    before = kept.digest(len(ITEMS))
    kept.weights["candidates.ids.embeddings"][9] += 1  # of a new item, which is no trained row
    assert kept.digest(len(ITEMS)) == before
    kept.weights["candidates.ids.embeddings"][7] += 1e-6
    assert kept.digest(len(ITEMS)) != before


def test_what_is_not_supported_says_so(pushed: Shop, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedRefreshError, match="trained by an earlier version"):
        Kept.read(str(tmp_path))
    assert why_not_kept(pushed.config) == ""
    for key, value, word in (("serving", {"tables": "int8"}, "int8"), ("features", {}, "features.item")):
        changed = shop(**{key: value})
        assert word in why_not_kept(changed)


def test_rollback_goes_back_to_the_version_before(refreshed: Refreshed) -> None:
    assert refreshed.shop.command("rollback") == 0
    assert version_numbers(refreshed.shop.serving) == refreshed.versions[:1]
