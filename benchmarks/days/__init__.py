"""A simulated fortnight of a recommender in production: `python -m benchmarks.days`."""
