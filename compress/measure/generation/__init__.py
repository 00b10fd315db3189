"""Measurements of models that write: what they write and how probable texts are to them, how fast tokens come, their memory."""
