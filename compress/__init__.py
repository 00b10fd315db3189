"""Distil, prune, quantize and export fine-tuned transformers, and measure what it cost."""

from compress.core.version import VERSION

__version__ = VERSION
