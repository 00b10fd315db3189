"""Distil, prune, quantize and export fine-tuned transformers, and measure what it cost."""

__version__ = "0.1.0"
