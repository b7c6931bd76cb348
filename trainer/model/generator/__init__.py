"""Items that training never saw: vectors made of their content, and what trains them.

`ContentItems` is what the candidate tower asks, `Adversary` what the training loop adds to the tasks' losses.
"""
