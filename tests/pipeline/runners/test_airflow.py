"""The rendered DAG; `make check-airflow` has Airflow itself parse one."""

import ast
from pathlib import Path

import pytest

from config import Config, ConfigError, parse_config
from pipeline.cli import common
from pipeline.runners.airflow import NOT_BLESSED, render_dag


def config(path: str) -> Config:
    return parse_config(
        f"name: shop\ndata: {{folder: data, interactions: {{path: '{path}'}}}}\n"
        "kubernetes: {retries: 2, retry_seconds: 90}\n"
    )


def arguments(path: Path) -> dict[str, dict[str, str]]:
    """By call: the values of the keyword arguments, as Python."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    named = [{k.arg or "": ast.unparse(k.value) for k in call.keywords} for call in calls]
    return {found.get("task_id") or ast.unparse(call.func): found for call, found in zip(calls, named, strict=True)}


def test_tasks_call_the_command_line(tmp_path: Path) -> None:
    output = tmp_path / "dags" / "shop.py"
    assert render_dag(config("events.csv"), "/etc/my shop.yaml", output, None) == ["check", "run"]
    found = arguments(output)
    assert ast.literal_eval(found["'check'"]["bash_command"]) == "tfx-recommender check '/etc/my shop.yaml'"
    assert ast.literal_eval(found["'run'"]["bash_command"]) == "tfx-recommender run --config '/etc/my shop.yaml'"
    assert all(ast.literal_eval(found[task]["cwd"]) == str(Path.cwd()) for task in ("'check'", "'run'"))
    assert found["'run'"]["skip_on_exit_code"] == str(NOT_BLESSED) == str(common.NOT_PUSHED)
    assert (found["DAG"]["schedule"], found["DAG"]["dag_id"]) == ("None", "'shop'")
    assert found["DAG"]["default_args"] == "{'retries': 2, 'retry_delay': timedelta(seconds=90.0)}"
    assert [path.name for path in output.parent.iterdir()] == ["shop.py"]


@pytest.mark.parametrize(
    ("path", "schedule", "span"),
    [
        ("day-{SPAN}/events.csv", "@daily", "{{ params.span }}"),
        ("{YYYY}-{MM}-{DD}.csv", None, "{{ params.span }}"),
        ("{YYYY}-{MM}-{DD}.csv", "@daily", "{{ params.span or (ds if ds is defined else '') }}"),
    ],
)
def test_a_run_reads_the_span_that_it_is_given(tmp_path: Path, path: str, schedule: str | None, span: str) -> None:
    output = tmp_path / "shop.py"
    render_dag(config(path), "/shop.yaml", output, schedule)
    run = arguments(output)["'run'"]
    assert ast.literal_eval(run["bash_command"]).endswith(' run --config /shop.yaml ${SPAN:+--span "$SPAN"}')
    assert ast.literal_eval(run["env"]) == {"SPAN": span}


def test_another_extension_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"should end with \.py for Airflow\. Received: .*shop\.yaml"):
        render_dag(config("events.csv"), "/shop.yaml", tmp_path / "shop.yaml", None)
