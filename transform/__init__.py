"""Raw features to model features with TensorFlow Transform; the same graph in training and serving."""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
