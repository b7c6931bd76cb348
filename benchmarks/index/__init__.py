"""The served graph's index beside others: `python -m benchmarks.index`."""
