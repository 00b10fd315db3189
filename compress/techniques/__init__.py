"""One file per technique, wiring only: the file name is the name of the command and of the pipeline step."""
