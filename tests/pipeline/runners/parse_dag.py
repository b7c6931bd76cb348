"""Has Airflow parse the DAGs of a folder: `python tests/pipeline/runners/parse_dag.py FOLDER`, in its environment."""

import sys

from airflow.dag_processing.dagbag import DagBag


def main(folder: str) -> int:
    """Prints the tasks of each DAG, and returns 1 where a file cannot be parsed."""
    bag = DagBag(folder)
    for file, problem in bag.import_errors.items():
        print(f"{file}: {problem}")
    for name, dag in bag.dags.items():
        print(f"{name}: {' >> '.join(task.task_id for task in dag.topological_sort())}")
    return int(bool(bag.import_errors) or not bag.dags)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
