"""Transformed examples as dense windows in global batches, and the catalogue that their items are looked up in."""
