"""The mathematics of distillation: tensors in, tensors out."""
