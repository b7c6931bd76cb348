"""How well the pipeline's models recommend: every figure from a run of the pipeline itself."""
