"""The data of a task: `resolve` a description to a task, `load` a split of it, `tokenize` its rows."""

from compress.tasks.loading.describing import find, known, resolve
from compress.tasks.loading.origins import NoSuchSplit
from compress.tasks.loading.splits import Split, default_cache, load
from compress.tasks.loading.tokens import Tokenized, encoded, tokenize, tokenizer_identity

__all__ = [
    "NoSuchSplit",
    "Split",
    "Tokenized",
    "default_cache",
    "encoded",
    "find",
    "known",
    "load",
    "resolve",
    "tokenize",
    "tokenizer_identity",
]
