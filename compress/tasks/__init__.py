"""What a model is for: one file per task, each with a `TASK`; `loading` reads their data."""
