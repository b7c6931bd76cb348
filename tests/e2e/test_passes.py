"""The three passes, as ML Metadata and the serving folder saw them."""

import hashlib
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
from prometheus_client.parser import text_string_to_metric_families

from config import dump_config, load_config
from config.dump import TRAINER
from config.fingerprint import TRAINER_CODE, code_fingerprint
from pipeline.lineage import read_history
from pipeline.metadata import readable_store
from serving.manifest import MANIFEST
from tests.e2e.conftest import Passes
from tests.e2e.metadata import artifacts, states_by_component
from tests.synthetic import DIRTY_ROWS

COMPONENTS = {
    "InteractionExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "AnomalyGate",
    "Transform",
    "Trainer",
    "Evaluator",
    "InfraValidator",
    "Pusher",
}


def test_every_pass_pushes_a_blessed_model(passes: Passes) -> None:
    for finished in (passes.cold, passes.cached, passes.new_span):
        assert finished.code == 0, finished.output


def test_the_terminal_shows_a_line_for_each_component_and_no_log(passes: Passes) -> None:
    for component in COMPONENTS:
        assert component in passes.cold.output
    assert "popularity" in passes.cold.output
    assert "WARNING" not in passes.cold.output
    assert "Traceback" not in passes.cold.output


def test_without_a_terminal_each_epoch_and_what_follows_has_a_line(passes: Passes) -> None:
    shown = passes.cold.output
    running = r"^\d\d:\d\d:\d\d  Trainer +running +\d+\.\d s  "
    epoch = r"epoch \d+ of 12: train .*retrieval .*; eval loss .*; \d+:\d\d left$"
    assert len(re.findall(running + epoch, shown, re.M)) > 1
    for phase in ("finding the items' neighbours", "fitting the tasks' baselines", "building the index and exporting"):
        assert re.search(running + phase, shown, re.M), phase
    assert re.search(r"  Trainer +done +\d+\.\d s  epoch \d+ of \d+ kept; eval ndcg@\d+ 0\.", shown)
    assert re.search(r"  Evaluator +done .* s  eval: ndcg@5 .*; test: ndcg@5 .*; blessed", shown)


def test_figures_for_programs_are_beside_the_report(passes: Passes) -> None:
    found = json.loads(passes.metrics)
    assert found["pushed"].endswith(f"/{passes.versions[0][0]}")
    assert set(found["splits"]) == {"eval", "test"}
    for split in found["splits"].values():
        assert {"value", "standard_error", "popularity", "lift"} == set(split["metrics"]["ndcg@10"])


def test_the_second_pass_runs_nothing_and_the_third_everything_that_reads_the_span(passes: Passes) -> None:
    states = states_by_component(passes.home.runs)
    assert set(states) >= COMPONENTS
    done_before = {"InteractionExampleGen", "StatisticsGen", "ExampleValidator", "AnomalyGate", "Transform"}
    for component in COMPONENTS - {"SchemaGen"}:
        killed = {"Trainer": ["CANCELED", "COMPLETE"]}.get(component, ["COMPLETE"])
        third = ["COMPLETE", "CACHED"] if component in done_before else killed
        assert states[component][: 2 + len(third)] == ["COMPLETE", "CACHED", *third], component


def test_a_killed_training_goes_on_from_its_checkpoint_and_leaves_none(passes: Passes) -> None:
    assert "resum" in passes.log.lower()
    assert not list((passes.home.runs / "checkpoints").glob("*/last/*.index"))


def test_the_new_span_starts_from_the_model_of_the_first(passes: Passes) -> None:
    config = load_config(passes.home.config)
    first = read_history(readable_store(config), config.name)[0]
    assert "older than this run's data was blessed yet: training starts from random weights" in passes.cold.output
    assert f"training starts from the weights of {first.model}\n" in passes.new_span.output
    assert "`shared rows of user_id`: none of " in passes.new_span.output
    assert (Path(first.model) / "Format-Training" / "state.index").is_file()
    assert not list(passes.home.serving.rglob("Format-Training"))
    report = (passes.home.runs / "report.html").read_text()
    assert f"training starts from the weights of {first.model}" in report


def test_the_embeddings_of_the_pushed_version_are_exported(passes: Passes) -> None:
    version, states = passes.versions[0][0], states_by_component(passes.home.runs)
    assert states["EmbeddingExporter"] == ["COMPLETE", "CACHED"]
    folder = Path(artifacts(passes.home.runs, "InferenceResult")[0].uri)
    description = json.loads((folder / "embeddings.json").read_text())
    manifest = (passes.home.serving / str(version) / MANIFEST).read_bytes()
    assert description["manifest_sha256"] == hashlib.sha256(manifest).hexdigest()
    table = pq.read_table(folder / "candidates.parquet")
    assert (len(table), table["embedding"].type.list_size) == (description["items"], description["dimension"])
    assert (folder / "query_tower" / str(version) / "saved_model.pb").is_file()
    line = f"{len(table)} vectors of {description['dimension']} dimensions, version {version}, in "
    assert line in passes.cold.output


def test_the_examples_carry_their_span(passes: Passes) -> None:
    spans = [a.custom_properties["span"].int_value for a in artifacts(passes.home.runs, "Examples")]
    assert {1, 2} <= set(spans)


def test_only_new_data_pushes_a_new_version(passes: Passes) -> None:
    cold, cached, new_span = passes.versions
    assert len(cold) == 1
    assert cached == cold
    assert new_span[:1] == cold
    assert len(new_span) == 2


def test_ingest_tells_what_it_dropped(passes: Passes) -> None:
    examples = [a for a in artifacts(passes.home.runs, "Examples") if "InteractionExampleGen" in a.uri]
    counts = json.loads((Path(examples[0].uri) / "ingest.json").read_text())["interactions"]
    assert counts["rows"] == 4000 + sum(DIRTY_ROWS.values())
    assert counts["kept"] == 4000
    assert counts["bad_rows"] == sum(DIRTY_ROWS.values()) - DIRTY_ROWS["duplicate"]


def test_the_history_leads_from_a_version_to_its_data_and_code(passes: Passes) -> None:
    config = load_config(passes.home.config)
    first, second = read_history(readable_store(config), config.name)[:2]  # other tests push later ones
    assert [first.version, second.version] == passes.versions[2]
    assert (first.span, second.span) == (1, 2)
    assert first.examples != second.examples
    assert first.code == second.code == code_fingerprint(*TRAINER_CODE)
    assert second.config == dump_config(config, *TRAINER) != first.config
    assert first.run in passes.cold.output
    assert second.run in passes.new_span.output
    for pushed in (first, second):
        assert pushed.evaluated
        assert pushed.validated
        assert pushed.evaluation is not None
        assert Path(pushed.evaluation).is_dir()


def test_every_run_leaves_a_report_and_two_are_compared(passes: Passes) -> None:
    runs = sorted(folder.name for folder in (passes.home.runs / "reports").iterdir())
    for run, finished in zip(runs[:2], (passes.cold, passes.new_span), strict=True):
        assert run in finished.output
    found = passes.home.command("compare", "--config", str(passes.home.config), *runs[:2])
    assert found.code == 0, found.output
    assert re.search(r"spans +span 1 +span 2", found.output)
    assert re.search(r"test +ndcg@10 +0\.\d+ ± 0\.\d+ +0\.\d+ ± 0\.\d+ +[+-]", found.output)


def test_a_run_leaves_metrics_for_prometheus(passes: Passes) -> None:
    families = text_string_to_metric_families(passes.prometheus)
    found = {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}
    own = "end-to-end"
    assert found["recommender_run_log_rows", own, "kept"] == 4200
    assert found["recommender_run_log_rows", own, "rows"] == 4200 + sum(DIRTY_ROWS.values())
    assert found["recommender_run_served_version_timestamp_seconds", own] >= passes.versions[2][-1]
    assert found["recommender_run_metric", own, "ndcg@10", "test"] > 0
    assert found["recommender_run_disk_bytes", own] > 1e6
