"""Devices and workers: strategies, collectives, shards of a batch, and reproducible randomness."""
