"""Tokenises SST-2 with the teacher's tokenizer: the evaluation split for the comparison, rows of train for calibration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

LONGEST = 128  # tokens; longer sentences are cut
CALIBRATION_ROWS = 100
CALIBRATION_SEED = 0

Columns = dict[str, list[list[int]]]  # input name -> for each sentence, one value a token


def evaluation(teacher: Path, data: Path) -> tuple[Columns, list[int]]:
    """The tokenised sentences of `dev.tsv` and their labels, in file order."""
    texts, labels = read(data / "dev.tsv")
    return tokenise(teacher, texts), labels


def save_calibration(teacher: Path, data: Path, path: Path) -> None:
    """Writes seeded rows of `train.tsv`, tokenised, as a JSON list that every peer's environment can read."""
    texts, _ = read(data / "train.tsv")
    chosen = np.random.default_rng(CALIBRATION_SEED).choice(len(texts), CALIBRATION_ROWS, replace=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = tokenise(teacher, [texts[index] for index in chosen])
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    path.write_text(json.dumps(rows))


def read(path: Path) -> tuple[list[str], list[int]]:
    """Sentences and labels of one of GLUE's SST-2 files: tab-separated, a header, quotes are text."""
    header, *lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    if header.split("\t") != ["sentence", "label"]:
        raise SystemExit(f"{path} does not begin with the columns sentence and label. Give GLUE's SST-2 folder.")
    pairs = [line.split("\t") for line in lines]
    return [text for text, _ in pairs], [int(label) for _, label in pairs]


def tokenise(teacher: Path, texts: list[str]) -> Columns:
    """The texts, unpadded, as every input that a BERT classifier may declare."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(teacher)
    batch = tokenizer(texts, truncation=True, max_length=LONGEST, return_token_type_ids=True)
    return {name: list(values) for name, values in batch.items()}
