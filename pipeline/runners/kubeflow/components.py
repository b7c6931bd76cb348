"""The components of a pipeline on open-source KFP: containers only, which need no ML Metadata of earlier runs."""

from typing import Final

from tfx.dsl.components.base.base_node import BaseNode
from tfx.types import BaseChannel

from pipeline.dag import Runner
from pipeline.push.component import make_recording_pusher
from pipeline.runners.kubeflow.ingest import make_ingest
from pipeline.runners.kubeflow.resolvers import make_baseline, make_reference


def _no_base(transform_graph: BaseChannel) -> list[BaseNode]:
    """Finds no model to start from: records of pushed versions hold no optimizer slots. `compile` refuses it before."""
    raise ValueError("no model is found to start from on KFP")


KFP: Final = Runner(make_ingest, make_baseline, make_reference, _no_base, make_recording_pusher)
