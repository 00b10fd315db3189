"""The version, where modules below the package's own face read it."""

VERSION = "0.1.0"
