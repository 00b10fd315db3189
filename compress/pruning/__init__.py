"""Pruning: importance scores, masks, and the removal of units."""
