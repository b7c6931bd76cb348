import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from config import ConfigError
from pipeline.checks.configuration import checked_config

GOOD = """\
name: shop
data:
  folder: {folder}
  interactions: {path: events.csv, time: time}
  items: {path: items.csv, id: item_id}
positive: rating >= 3
features:
  user:
    - {name: age, kind: numeric}
    - {name: country, kind: categorical}
  item:
    - {name: kind, kind: categorical}
    - {name: mix, kind: cross, of: [kind, colour]}
  outcome:
    - {name: rating, kind: categorical}
tasks:
  retrieval: {kind: retrieval}
  rating: {kind: regression, label: rating, where: rating > 0, min: 1, max: 5}
"""


@pytest.fixture
def write(tmp_path):
    """Writes the tables and a changed copy of the good configuration; returns its path."""
    (tmp_path / "events.csv").write_text("user_id,item_id,time,rating,age,country\n1,2,3,4,5,at\n")
    (tmp_path / "items.csv").write_text("item_id,kind,colour\n2,shoe,red\n")

    def write(old: str = "", new: str = "", more: str = "") -> str:
        assert old in GOOD
        path = tmp_path / "shop.yaml"
        path.write_text(GOOD.replace(old, new, 1).replace("{folder}", str(tmp_path)) + more)
        return str(path)

    return write


def problems(path: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        checked_config(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def test_a_good_configuration_is_returned(write):
    assert checked_config(write()).name == "shop"


def test_filters_and_caps_name_fitting_item_features(write):
    serving = "serving: {filters: [kind, mix, knd], diversity: {caps: {kind: 2, mix: 1}}}\n"
    found = problems(write(more=serving))
    assert [line.partition(": ")[2] for line in found] == [
        "`serving.filters[1]`: should name an item feature (kind). Received: 'mix'",
        "`serving.filters[2]`: should name an item feature (kind). Did you mean `kind`? Received: 'knd'",
        "`serving.diversity.caps.mix`: should name an item feature (kind). Received: 'mix'",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "name: age",
            "name: agee",
            "9: `features.user[0].name`: no such column: 'agee'. Did you mean `age`? "
            "Columns of events.csv: user_id, item_id, time, rating, age, country",
        ),
        (
            "name: age",
            "name: years, column: yaers",
            "9: `features.user[0].column`: no such column: 'yaers'. "
            "Columns of events.csv: user_id, item_id, time, rating, age, country",
        ),
        (
            "[kind, colour]",
            "[kind, color]",
            "13: `features.item[1].of[1]`: no such column: 'color'. Did you mean `colour`? "
            "Columns of items.csv: item_id, kind, colour",
        ),
        (
            "id: item_id",
            "id: product",
            "5: `data.items.id`: no such column: 'product'. Columns of items.csv: item_id, kind, colour",
        ),
        (
            "time: time",
            "time: timestamp",
            "4: `data.interactions.time`: no such column: 'timestamp'. Did you mean `time`? "
            "Columns of events.csv: user_id, item_id, time, rating, age, country",
        ),
        (
            "where: rating",
            "where: ratin",
            "18: `tasks.rating.where`: no such column: 'ratin'. Did you mean `rating`? "
            "Columns of events.csv: user_id, item_id, time, rating, age, country",
        ),
        (
            "  outcome:\n",
            "  trend: {days: [7, 1]}\n  outcome:\n",
            "14: `features.trend`: `days` should increase. Received: [7.0, 1.0]",
        ),
        ("min: 1, max: 5", "min: 5, max: 1", "18: `tasks.rating.min`: should not be above `max` (1). Received: 5"),
        (
            "name: country",
            "name: age",
            "7: `features`: `user` should not name a feature twice, nor after an id (id, id_frequency); "
            "`column` may be anything. Received: 'age'",
        ),
        (
            "name: age",
            "name: id, column: age",
            "7: `features`: `user` should not name a feature twice, nor after an id (id, id_frequency); "
            "`column` may be anything. Received: 'id'",
        ),
        (
            "  rating: {",
            "  score: {",
            "18: `tasks.score`: this name is taken by an output of the exported model; choose another",
        ),
        (
            "  rating: {",
            "  genre: {kind: multiclass, attribute: knid}\n  rating: {",
            "18: `tasks.genre.attribute`: should name an item feature of kind `categorical`, `multi_valued` or `text` "
            "(kind). Did you mean `kind`? Received: 'knid'",
        ),
        (
            "  rating: {",
            "  genre: {kind: multiclass, attribute: mix}\n  rating: {",
            "18: `tasks.genre.attribute`: should name an item feature of kind `categorical`, `multi_valued` or `text` "
            "(kind). Received: 'mix'",
        ),
        (
            "  rating: {",
            "  genre: {kind: multiclass, attribute: kind}\n  genre_probability: {",
            "19: `tasks.genre_probability`: this name is taken by an output of the task `genre`; choose another",
        ),
        (
            "min: 1, max: 5",
            "baseline: {attributes: [mix]}",
            "18: `tasks.rating.baseline.attributes`: should name an item feature of kind `categorical`, "
            "`multi_valued` or `text` (kind). Received: 'mix'",
        ),
        (
            "min: 1, max: 5",
            "baseline: {weights: {biass: 1, kind: 0.5}}",
            "18: `tasks.rating.baseline.weights`: should name parts (network, bias, cosine, correlation, factors, "
            "session_bias_60, session_bias_3600, session_bias_604800, kind). Did you mean `bias`? Received: 'biass'",
        ),
        (
            "{name: kind, ",
            "{name: cosine, column: kind, ",
            "18: `tasks.rating.baseline.attributes`: `cosine` is a part by itself; give the feature another name",
        ),
        (
            "  rating: {",
            "  page: {kind: listwise, label: rating, session: vist}\n  rating: {",
            "18: `tasks.page.session`: no such column: 'vist'. "
            "Columns of events.csv: user_id, item_id, time, rating, age, country",
        ),
        (
            "  rating: {",
            "  genre: {kind: multiclass, attribute: kind, where: ratin > 3}\n  rating: {",
            "18: `tasks.genre.where`: no such column: 'ratin'. Did you mean `rating`? "
            "Columns of events.csv: user_id, item_id, time, rating, age, country",
        ),
        (
            "  rating: {",
            "  Rating: {",
            "18: `tasks.Rating`: a task's name should be at most 100 lower-case letters, digits and underscores",
        ),
    ],
)
def test_changed_key_is_one_problem(write, old, new, expected):
    assert problems(write(old, new)) == [expected]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            "serving: {default_k: 20, max_k: 10}",
            "19: `serving.max_k`: should be at least `default_k` (20). Received: 10",
        ),
        (
            "serving: {default_k: 20, candidates: 10}",
            "19: `serving.candidates`: should be at least `default_k` (20). Received: 10",
        ),
        (
            "pipeline: {skew: {features: {user_aeg: 0.1}}}",
            "19: `pipeline.skew.features.user_aeg`: should name a feature that distances are measured of (user_id, "
            "item_id, user_age, user_country, outcome_rating, is_positive, label_rating). "
            "Did you mean `user_age`? Received: 'user_aeg'",
        ),
        ("evaluation: {ks: [100, 10]}", "19: `evaluation.ks`: should increase. Received: [100, 10]"),
        (
            "evaluation: {ks: [0, 10]}",
            "19: `evaluation.ks`: should be distinct positive integers, at least one. Received: [0, 10]",
        ),
        (
            "cleaning: {outliers: [{column: rating, min: 5, max: 1}]}",
            "19: `cleaning.outliers[0].min`: should not be above `max` (1). Received: 5",
        ),
        ("cleaning: {outliers: [{column: rating}]}", "19: `cleaning.outliers[0]`: should have `min`, `max` or both"),
        (
            "cleaning: {outliers: [{column: price, min: 0}]}",
            "19: `cleaning.outliers[0].column`: no such column: 'price'. "
            "Columns of events.csv: user_id, item_id, time, rating, age, country",
        ),
        (
            "model: {history: {max_events: 10, min_context: 10}}",
            "19: `model.history.min_context`: should be below `max_events` (10). Received: 10",
        ),
        (
            "model: {dimension: 30, history: {encoder: attention, heads: 4}}",
            "19: `model.history.heads`: should divide `model.dimension` (30). Received: 4",
        ),
        (
            "model: {dimension: 30, history: {encoder: decay+hstu, heads: 4}}",
            "19: `model.history.heads`: should divide `model.dimension` (30). Received: 4",
        ),
        (
            "model: {history: {encoder: cnn, dilations: [1, 0]}}",
            "19: `model.history.dilations[1]`: should be greater than 0. Received: 0",
        ),
        (
            "training: {strategy: mirrored, replicas: 3, batch_size: 16}",
            "19: `training.batch_size`: should be a multiple of `replicas` (3). Received: 16",
        ),
        (
            "training: {strategy: multi_worker, replicas: 2}",
            "19: `training.replicas`: needs the strategy `mirrored`. Received: 'multi_worker'",
        ),
        (
            "training: {job: {kind: train_job, image: i, storage: {}}}",
            "19: `training.job`: needs the strategy `multi_worker`. Received: 'one_device'",
        ),
        (
            "training: {strategy: multi_worker, job: {kind: train_job, image: i}}",
            "19: `training.job.storage`: is needed, so that the workers' pods find `pipeline.root` ('runs'), which is"
            " no URI",
        ),
        (
            "training: {strategy: multi_worker, job: {kind: custom_job, image: i, project: p, region: r}}",
            " `pipeline.root`: should be a gs:// URI, or below /gcs/, which the workers of `training.job` find."
            " Received: 'runs'",
        ),
        (
            "training: {strategy: multi_worker, job: {kind: train_jobs, image: i}}",
            "19: `training.job`: `kind` should be one of train_job, tf_job, custom_job. Did you mean `train_job`?"
            " Received: 'train_jobs'",
        ),
        (
            "training: {strategy: multi_worker, job: {kind: tf_job, image: i, storage: {}, workers: 1}}",
            "19: `training.job.workers`: should be greater than or equal to 2. Received: 1",
        ),
        (
            "deploy: {serving: {replicas: 3, max_replicas: 2}}",
            "19: `deploy.serving`: `max_replicas` should be at least `replicas` (3). Received: 2",
        ),
        ("training: {tpu: local}", "19: `training.tpu`: needs the strategy `tpu`. Received: 'one_device'"),
        ("training: {replicas: 2}", "19: `training.replicas`: needs the strategy `mirrored`. Received: 'one_device'"),
        (
            "pipeline: {schema_file: none.pbtxt}",
            "19: `pipeline.schema_file`: should be a file. Received: 'none.pbtxt', which does not exist",
        ),
    ],
)
def test_added_section_is_one_problem(write, more, expected):
    assert problems(write(more=more)) == [expected]


def test_gate_on_an_unknown_metric_has_its_line_and_the_known_ones(write):
    (problem,) = problems(write(more="evaluation:\n  gates:\n    - {metric: ndgc@10, min: 0.1}\n"))
    assert problem.startswith("21: `evaluation.gates[0].metric`: ")
    assert "ndcg@10" in problem
    assert "Received: 'ndgc@10'" in problem


def test_expression_that_cannot_be_parsed(write):
    (problem,) = problems(write("rating >= 3", "import os"))
    assert problem.startswith("6: `positive`: ")
    assert "import os" in problem


def test_global_time_needs_a_time(write):
    assert problems(write("time: time", "time: null", "split: {method: global_time}")) == [
        "19: `split.method`: `global_time` needs a time column, and `data.interactions.time` is null"
    ]


def test_times_are_no_ids(write):
    problem = "4: `data.interactions.time`: should be another column than `item`. Received: 'item_id'"
    assert problem in problems(write("time: time", "time: item_id"))


def test_trend_needs_a_time(write):
    path = write("interactions: {path: events.csv, time: time}", "interactions: {path: events.csv, time: null}")
    text = Path(path).read_text()
    Path(path).write_text(text.replace("features:\n", "features:\n  trend: {}\n"))
    assert problems(path) == ["8: `features.trend`: needs a time column, and `data.interactions.time` is null"]


def test_trend_needs_a_retrieval_task(write):
    path = write("  retrieval: {kind: retrieval}\n")
    text = Path(path).read_text().replace("  retrieval: {kind: retrieval}\n", "")
    Path(path).write_text(text.replace("features:\n", "features:\n  trend: {}\n"))
    problem = "8: `features.trend`: is a part of the retrieval score, and `tasks` holds no retrieval task"
    assert problem in problems(path)


def test_item_features_need_the_items_table(write):
    assert problems(write("  items: {path: items.csv, id: item_id}\n", "")) == [
        "10: `features.item`: needs the table `data.items`, which is missing"
    ]


def test_missing_tables_of_a_public_data_set_name_the_command(write, tmp_path):
    path = write("folder: {folder}", f"folder: {tmp_path}/none\n  dataset: movielens-100k")
    assert problems(path) == [f"3: `data.folder`: holds no tables. Fetch them: `tfx_runner.py data --config {path}`"]


def test_missing_table_is_named_with_what_is_there(write):
    (problem,) = problems(write("path: items.csv", "path: things.csv"))
    assert problem.startswith("5: `data.items.path`: ")
    assert "things.csv: no such file" in problem
    assert "events.csv, items.csv" in problem


def test_check_imports_neither_tensorflow_nor_beam(write):
    code = f"""
import sys
from pipeline.checks.configuration import checked_config
checked_config({write()!r})
print([name for name in ("tensorflow", "tfx", "apache_beam") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("key", "values", "message"),
    [
        ("model.dimension", "[8, 0]", "0 is not a valid value of `model.dimension`"),
        ("training.optimiser.name", "[sgd]", "'sgd' is not a valid value of `training.optimiser`"),
        ("model.history.max_events", "[8, 16]", "that only the Trainer reads"),
        ("tasks.rating.label", "[rating]", "that only the Trainer reads"),
        ("split.seed", "[1, 2]", "that only the Trainer reads"),
    ],
)
def test_a_search_over_what_cannot_be_is_refused(write, key, values, message):
    path = write(more=f"tuner: {{parameters: {{{key}: {{choices: {values}}}}}}}\n")
    with pytest.raises(ConfigError, match=message):
        checked_config(path)


SEARCH = "tuner: {parameters: {model.dimension: {choices: [8, 16]}}}\n"


def test_a_search_trains_on_no_tpu(write):
    (problem,) = problems(write(more=f"{SEARCH}training: {{strategy: tpu}}\n"))
    allowed = "should be `one_device`, `mirrored` or `multi_worker` with `tuner`. Received: 'tpu'"
    assert problem == f"20: `training.strategy`: {allowed}"


def test_several_workers_train_after_a_search(write):
    assert checked_config(write(more=f"{SEARCH}training: {{strategy: multi_worker}}\n")).tuner is not None


@pytest.mark.parametrize(
    ("key", "objective", "is_refused"),
    [
        ("tasks.rating.weight", "loss", True),
        ("tasks.rating.weight", "rating_loss", False),
        ("tasks.rating.max", "rating_loss", True),
        ("tasks.rating.max", "ndcg@10", False),
        ("tasks.rating.dropout", "loss", False),
    ],
)
def test_a_search_by_a_loss_leaves_what_it_is_made_of(write, key, objective, is_refused):
    search = f"tuner: {{parameters: {{{key}: {{min: 0.1, max: 0.5}}}}, objective: {objective}}}\n"
    with pytest.raises(ConfigError, match=f"changes what `{objective}` measures") if is_refused else nullcontext():
        checked_config(write(more=search))


def test_a_search_over_what_the_trainer_reads_is_fine(write):
    parameters = "{tasks.rating.weight: {min: 0.1, max: 1.0}, training.optimizer.name: {choices: [sgd, adam]}}"
    assert checked_config(write(more=f"tuner: {{parameters: {parameters}, objective: ndcg@10}}\n")).tuner.trials == 10


def test_a_student_s_catalogue_is_not_normalised(write, tmp_path):
    sections = "{candidate_layers: [8], batch_norm: true}\ntraining: {distillation: {teacher: " + str(tmp_path) + "}}\n"
    wanted = "`training.distillation`: should be null with `model.batch_norm` of `model.candidate_layers`"
    assert any(wanted in problem for problem in problems(write(more=f"model: {sections}")))


def test_the_model_to_start_from_has_a_kept_state(write, tmp_path):
    more = f"training: {{warm_start: {{model: {tmp_path}}}}}\n"
    (problem,) = problems(write(more=more))
    assert "`training.warm_start.model`: should be the folder of a model that was trained with `warm_start`" in problem
    assert f"Received: '{tmp_path}', which holds no Format-Training" in problem
    (tmp_path / "Format-Training").mkdir()
    assert checked_config(write(more=more)).training.warm_start.epochs == 1
