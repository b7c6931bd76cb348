"""Candidates' embeddings and the query tower of a pushed model, for vector search outside of it."""
