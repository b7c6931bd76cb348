"""The losses: targets, negatives, the blocked softmax, and the balancing of the tasks."""
