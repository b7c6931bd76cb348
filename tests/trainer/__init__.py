import trainer  # noqa: F401  (selects Keras 2 before the tests import TensorFlow)
