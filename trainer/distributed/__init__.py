"""Devices and workers: strategies, collectives, shards of a batch, randomness that all of them share."""
