"""What every other part stands on: artifacts, settings, errors, the machine, and files that are written whole."""
