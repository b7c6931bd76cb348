"""From model features to a SavedModel: towers, tasks, training, stacking, export."""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
