"""The losses: targets, negatives, the blocked softmax, and how the tasks are balanced."""
