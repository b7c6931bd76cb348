"""What Beam's worker processes on this machine need of the process that starts them."""

import os

from config.fingerprint import ROOT


def share_package() -> None:
    """Lets processes that this one starts import this project, whatever folder they start in."""
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(ROOT) not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, paths)])
