"""What is known before a run: a first pipeline for a model and a file of rows, and what a run will take."""
