"""From files to model inputs: loading, splits, tokens, batches, calibration sets."""
