"""What runs a model: each file with a `RUNTIME` is one."""
