"""The layers of towers and heads."""
