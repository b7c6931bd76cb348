"""Beam: tables of interactions, items and users -> windows as tf.Examples, one TFX Examples artifact."""
