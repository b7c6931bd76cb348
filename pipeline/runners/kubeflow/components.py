"""The components of a pipeline on open-source KFP: containers only, which need no ML Metadata of earlier runs."""

from typing import Final

from pipeline.dag import Runner
from pipeline.push.component import make_recording_pusher
from pipeline.runners.kubeflow.ingest import make_ingest
from pipeline.runners.kubeflow.resolvers import make_baseline, make_reference

KFP: Final = Runner(make_ingest, make_baseline, make_reference, make_recording_pusher)
