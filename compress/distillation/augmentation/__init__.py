"""Copies of texts with some of their words replaced: by a masked language model, or by words of the task's own texts."""
