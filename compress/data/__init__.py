"""From files to rows that a model reads: loading, splits, tokens, batches, calibration sets."""
