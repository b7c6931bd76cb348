"""How a history becomes a vector at every position.

Every encoder is causal: its state at position i is made of the visible events at positions up to i. `lags.before` turns
that into what the model may know when event i is about to happen.
"""
