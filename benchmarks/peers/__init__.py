"""What stands beside the model in the quality benchmark: known recommenders on the same split files."""
