"""The data of a task: `resolve` a description to a task, `load` a split of it, `tokenize` its rows."""

from compress.data.description import described_task, find, known, resolve
from compress.data.sources import NoSuchSplit
from compress.data.splits import Split, default_cache, kept_apart, load
from compress.data.tokens import Tokenized, encoded, tokenize

__all__ = [
    "NoSuchSplit",
    "Split",
    "Tokenized",
    "default_cache",
    "described_task",
    "encoded",
    "find",
    "kept_apart",
    "known",
    "load",
    "resolve",
    "tokenize",
]
