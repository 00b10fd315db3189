"""Tasks: one file each, with a `TASK`; `data/loading.py` reads their data."""
