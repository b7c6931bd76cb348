"""The recommender pipeline: configuration, ingest, evaluation, validation, runners.

Importing this package selects Keras 2, which TensorFlow Recommenders needs, for this process and for every
process it starts.
"""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
