"""Infra validation: a model server loads the candidate model and answers real requests before it is pushed."""
