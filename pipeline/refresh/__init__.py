"""Catalogue refresh: a pushed model with the items of a new table, without training."""
