"""Encoders of the history.

Every encoder is causal: its state at position i depends on the visible events at positions up to i. `base.before` turns
these states into what the model may know before event i.
"""
