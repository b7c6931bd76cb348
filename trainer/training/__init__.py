"""The training loop: steps, optimizers, checkpoints, early stopping, precision, distillation, progress."""
