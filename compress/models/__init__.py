"""Opens, saves and changes models: weights, tokenizers, adapters, layers, widths; one file per family in `families`."""
