"""Augmentation: copies of texts with words replaced by a masked language model, or by words of the task's texts."""
