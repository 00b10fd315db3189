"""One training loop for every technique: steps, checkpoints, the best epoch on held-out rows."""
