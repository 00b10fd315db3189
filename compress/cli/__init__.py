"""The command line: parse, call the library, say what happened."""

from compress.cli import looking as looking  # each registers its commands
from compress.cli import results as results
from compress.cli import sensitivity as sensitivity
from compress.cli import starting as starting
from compress.cli.commands import compress as compress
