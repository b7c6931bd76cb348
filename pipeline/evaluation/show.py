"""Prints a configuration's newest evaluation: `python -m pipeline.evaluation.show examples/movielens-100k.yaml`."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from config import Config, load_config, paths
from pipeline.evaluation.results import headline, metric_text


def newest_evaluation(config: Config) -> Path:
    """The folder of the newest evaluation.

    Raises:
      FileNotFoundError: nothing was evaluated yet.
    """
    folders = sorted(Path(paths.artifacts(config), "Evaluator", "evaluation").glob("[0-9]*"), key=lambda p: int(p.name))
    if not folders:
        raise FileNotFoundError(f"no evaluation in {paths.artifacts(config)}: run `tfx_runner.py run` first")
    return folders[-1]


def metrics_table(metrics: dict[str, float], title: str) -> Table:
    """Each metric with its standard error and the popularity baseline's metric, where there are any."""
    table = Table("metric", "value", "standard error", "popularity", title=title)
    for name, value in metrics.items():
        if not name.startswith(("stderr_", "popularity_", "lift_")):
            others = (metrics.get(f"{kind}_{name}") for kind in ("stderr", "popularity"))
            table.add_row(
                *[name, *("" if metric is None else metric_text(metric, ".4f") for metric in (value, *others))]
            )
    return table


def main() -> None:
    """Prints one split's headline metrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("--split", choices=["eval", "test"], default="test")
    arguments = parser.parse_args()
    import tfx.v1  # noqa: F401  (patches TFMA's protos)

    folder = newest_evaluation(load_config(arguments.config))
    Console(markup=False).print(metrics_table(headline(str(folder), arguments.split), f"{arguments.split}: {folder}"))


if __name__ == "__main__":
    main()
