"""Models opened, saved and changed: weights, tokenizers, adapters, layers, widths; one file per family in `families`."""
