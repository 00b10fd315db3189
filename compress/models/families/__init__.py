"""One file per model family: where its layers are, and how it is made smaller."""
