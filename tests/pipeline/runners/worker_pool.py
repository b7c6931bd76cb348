"""Beam's worker pool: `python -m tests.pipeline.runners.worker_pool FILE` writes its port to a file.

As `apache_beam.runners.worker.worker_pool_main`, but its workers are threads, so that the jobs of a test import
TensorFlow once.
"""

import sys
import threading
from pathlib import Path

from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer

if __name__ == "__main__":
    address, server = BeamFnExternalWorkerPoolServicer.start(use_process=False)
    partial = Path(f"{sys.argv[1]}.partial")
    partial.write_text(address.rpartition(":")[2])
    partial.rename(sys.argv[1])
    threading.Event().wait()
