"""Neighbourhoods of items: what the train log says about pairs of items, a part of the retrieval score.

- `log`: the train events as arrays;
- `links`: from events to each item's neighbours;
- `scores`: from a history to the scores of all items, in the graph;
- `weights`: how much each kind counts, chosen on the eval split;
- `build`: all of it for a trained model.
"""
