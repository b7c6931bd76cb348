"""How well the pipeline's models recommend: every metric from a run of the pipeline itself."""
