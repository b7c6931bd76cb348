"""Top-K search inside the served graph, in plain TensorFlow ops."""
