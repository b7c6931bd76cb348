"""The pipeline as a DAG of Apache Airflow: a file whose tasks call this project's command line."""

import os
import shlex
from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined

from config import Config, ConfigError
from pipeline.ingest.spans import SpanPattern

NOT_BLESSED: Final = 3
"""The exit code of a run whose model was not pushed: the task is skipped, and not tried again."""
COMMAND: Final = "tfx-recommender"
"""The console script of this package."""
_TEMPLATE: Final = '''"""The pipeline `{{ name }}`, rendered by `tfx_runner.py compile --target airflow`."""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    dag_id={{ name | tojson }},
    start_date=datetime(2020, 1, 1),
    schedule={{ schedule | tojson if schedule else None }},
    catchup=False,
    max_active_runs=1,{# two runs of a pipeline exclude each other #}
    params={"span": ""},
    default_args={"retries": {{ retries }}, "retry_delay": timedelta(seconds={{ pause }})},
):
    check = BashOperator(task_id="check", bash_command={{ check | tojson }}, cwd={{ cwd | tojson }}, retries=0)
    run = BashOperator(
        task_id="run",
        bash_command={{ run | tojson }},
        cwd={{ cwd | tojson }},
        env={"SPAN": {{ span | tojson }}},
        append_env=True,
        skip_on_exit_code={{ skipped }},
    )
    check >> run
'''


def render_dag(config: Config, path: str, output: Path, schedule: str | None) -> list[str]:
    """Writes the DAG's file.

    The parameter `span` of a DAG run is the last span to read; where spans are dates and the run is scheduled, it is
    the date of the schedule by default.

    Args:
      config: The validated configuration; `kubernetes.retries` and `retry_seconds` are those of the task.
      path: Its file. Airflow's workers find it, and the working folder, under the same absolute paths.
      output: Where to, `.py`.
      schedule: Cron's five fields, or an alias such as `@daily`; None for runs by hand.

    Returns:
      The names of the tasks.

    Raises:
      ConfigError: The file's extension is another.
    """
    if output.suffix != ".py":
        raise ConfigError(f"`--output` should end with .py for Airflow. Received: {output}")
    file = shlex.quote(str(Path(path).absolute()))
    has_spans = config.data.interactions.has_spans
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    text = environment.from_string(_TEMPLATE).render(
        name=config.name,
        schedule=schedule,
        retries=config.kubernetes.retries or 0,
        pause=config.kubernetes.retry_seconds,
        span=_span(config, schedule is not None),
        cwd=str(Path.cwd()),
        check=f"{COMMAND} check {file}",
        run=f"{COMMAND} run --config {file}" + (' ${SPAN:+--span "$SPAN"}' if has_spans else ""),
        skipped=NOT_BLESSED,
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, output)
    return ["check", "run"]


def _span(config: Config, is_scheduled: bool) -> str:
    """Returns the last span to read, as Airflow's own template; it renders to "" for the newest."""
    is_daily = is_scheduled and SpanPattern(config.data.interactions.path).is_dated
    return "{{ params.span or (ds if ds is defined else '') }}" if is_daily else "{{ params.span }}"
