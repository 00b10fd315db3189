"""Pruning: what a model can do without, masks of it, and its removal."""
