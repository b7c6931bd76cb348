"""What is fitted on the frozen model: rating baseline, item neighbours, and the weights that blend them."""
