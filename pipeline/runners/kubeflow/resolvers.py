"""Resolvers as containers: the model and the statistics of earlier runs, found by the records of pushed versions.

Of each pair the first component runs each time and returns a folder; the second one copies it into an artifact, and is
taken from the cache while the folder is the same, and with it what follows.
"""

import posixpath
from typing import Final

from absl import logging
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, OutputDict, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils, path_utils

from config import Config, dump_config, paths
from config.dump import TRAINER
from pipeline.evaluation.baseline import BaselineError, Trained, difference, is_required, no_baseline
from pipeline.push.records import digest_of, newest_first, read_records, statistics_folder
from pipeline.runners.kubeflow.artifacts import mark_absent
from pipeline.runners.kubeflow.ingest import EACH_RUN
from serving.manifest import make_manifest

_SPLIT: Final = "Split-"


@component
def BaselineDriver(  # noqa: N802 (a component)
    candidate: InputArtifact[standard_artifacts.Model],
    records: Parameter[str],
    config: Parameter[str],
    required: Parameter[int],
    run: Parameter[str],
) -> OutputDict(folder=str):  # type: ignore[valid-type]
    """Finds the newest pushed version before the candidate that can be measured as the candidate is.

    Versions that were withdrawn or removed are passed over. Locally, any blessed model may be the baseline, pushed or
    not; see `pipeline.evaluation.baseline`.

    Args:
      candidate: The model of this run.
      records: The folder of records.
      config: The Trainer's part of the configuration.
      required: Whether the candidate has to be compared where there is any version.
      run: The run's id.

    Returns:
      `folder`, the SavedModel; "" where there is none.

    Raises:
      BaselineError: A comparison is required, and no version can be measured as the candidate is.
    """
    del run
    model = path_utils.serving_model_path(candidate.uri)
    ours, reasons = Trained("candidate", model, config), []
    for record in newest_first(read_records(records), model=digest_of(make_manifest(model))):
        name = f"version {record.version}"
        if not fileio.exists(posixpath.join(record.path, "saved_model.pb")):
            logging.info("%s is no baseline: it is not in %s any more", name, record.path)
        elif reason := difference(Trained(name, record.path, record.config), ours):
            logging.warning("%s is no baseline: %s", name, reason)
            reasons.append(f"{name}: {reason}")
        else:
            logging.info("the baseline is %s", name)
            return {"folder": record.path}
    if required and reasons:
        raise BaselineError(no_baseline(reasons[0]))
    return {"folder": ""}


@component
def BaselineModel(  # noqa: N802 (a component)
    model: OutputArtifact[standard_artifacts.Model], folder: Parameter[str]
) -> None:
    """Copies the SavedModel in `folder`; without one `model` is absent for the components that follow."""
    if folder:
        io_utils.copy_dir(folder, path_utils.serving_model_dir(model.uri))
    else:
        mark_absent(model)


@component
def ReferenceDriver(  # noqa: N802 (a component)
    statistics: InputArtifact[standard_artifacts.ExampleStatistics], records: Parameter[str], run: Parameter[str]
) -> OutputDict(folder=str):  # type: ignore[valid-type]
    """Finds the statistics of the newest run before this one whose model was pushed.

    Args:
      statistics: Those of this run.
      records: The folder of records.
      run: The run's id.

    Returns:
      `folder`, the statistics; "" where there are none.
    """
    del run
    found = newest_first(read_records(records), statistics=digest_of(make_manifest(statistics.uri)))
    return {"folder": statistics_folder(records, found[0]) if found else ""}


@component
def ReferenceStatistics(  # noqa: N802 (a component)
    reference: OutputArtifact[standard_artifacts.ExampleStatistics], folder: Parameter[str]
) -> None:
    """Copies the statistics in `folder`; without any `reference` is absent for the components that follow."""
    if not folder:
        mark_absent(reference)
        return
    io_utils.copy_dir(folder, reference.uri)
    names = (str(name).rstrip("/") for name in fileio.listdir(folder))
    splits = sorted(name.removeprefix(_SPLIT) for name in names if name.startswith(_SPLIT))
    reference.split_names = artifact_utils.encode_split_names(splits)


def make_baseline(config: Config, candidate: types.BaseChannel) -> list[BaseNode]:
    """Makes the components that find the model that `candidate`, a Model of this run, is compared with."""
    found = BaselineDriver(
        candidate=candidate,
        records=paths.records(config),
        config=dump_config(config, *TRAINER),
        required=int(is_required(config)),
        run=EACH_RUN,
    )
    return [found, BaselineModel(folder=found.outputs["folder"].future()[0].value)]


def make_reference(config: Config, statistics: types.BaseChannel) -> list[BaseNode]:
    """Makes the components that find the statistics that those of this run are compared with."""
    found = ReferenceDriver(statistics=statistics, records=paths.records(config), run=EACH_RUN)
    return [found, ReferenceStatistics(folder=found.outputs["folder"].future()[0].value)]
