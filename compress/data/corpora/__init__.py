"""Data that is generated: it travels with the package as code, and is the same everywhere."""
