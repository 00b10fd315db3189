"""Measurements of one artifact or several: latency, memory, size, quality, the machine, and their statistics."""
