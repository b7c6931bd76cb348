"""The layers that towers and heads are made of."""
