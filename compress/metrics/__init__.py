"""Scores of predictions against references: one file per metric, each with a `METRIC`."""
