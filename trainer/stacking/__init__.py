"""What is fitted on the frozen model: rating baselines, item neighbourhoods, and the weights that blend them."""
