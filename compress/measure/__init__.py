"""Measures artifacts: latency, memory, size and quality."""
