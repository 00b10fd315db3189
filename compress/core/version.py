"""The version, for modules below the package's top level."""

VERSION = "0.1.0"
