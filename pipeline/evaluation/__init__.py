"""The evaluation: TFMA's configuration, the retrieval metrics, the gates, and the metrics read back."""
