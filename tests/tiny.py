"""Tiny random models of every family and a little task with its own files: wide enough (64) to be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests import families

VOCABULARY = (
    "good great fine lovely bad poor awful dull the a this that film book phone was is not very and but plot hero "
    "sound screen battery cover price it works breaks soon never always again"
)
WORDS = VOCABULARY.split()
FAMILIES: dict[str, dict[str, Any]] = {name: families.config(name, layers=4) for name in families.ENCODERS}
"""Configs of the encoders of `tests.families`, by name."""


def write_tokenizer(folder: Path) -> Any:
    """A lower-casing word-level tokenizer over WORDS."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate([*special, *WORDS])}, unk_token="[UNK]"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
        model_input_names=["input_ids", "attention_mask"],
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def write_model(folder: Path, family: str = "bert", *, labels: int = 2, seed: int = 0, **changes: Any) -> Path:
    """A random classifier of a family, with its tokenizer, as a Hugging Face folder."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = write_tokenizer(folder)
    names = {0: "negative", 1: "positive"} if labels == 2 else {i: f"LABEL_{i}" for i in range(labels)}
    settings = {
        **families.config(family, layers=4),
        "vocab_size": len(tokenizer),
        "pad_token_id": 0,
        "max_position_embeddings": 80,
        "num_labels": labels,
        "id2label": names,
        "label2id": {name: i for i, name in names.items()},
        **changes,
    }
    if family == "modernbert":
        settings |= {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    torch.manual_seed(seed)
    config = AutoConfig.for_model(family, **settings)
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():  # random norms and biases: what is dropped or swapped shows
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return folder


def write_task(folder: Path, *, rows: int = 160) -> dict[str, Any]:
    """A little task that can be learnt: the label is whether a good word stands in the text."""
    import csv
    import random

    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(0)
    for split, count in (("train", rows), ("evaluation", 48)):
        with (folder / f"{split}.csv").open("w", newline="") as stream:
            out = csv.writer(stream)
            out.writerow(["review", "mood"])
            for number in range(count):
                good = number % 2
                words = chance.choices(WORDS[8:], k=chance.randint(2, 9))
                words.insert(chance.randrange(len(words)), chance.choice(WORDS[:4] if good else WORDS[4:8]))
                out.writerow([" ".join(words), "positive" if good else "negative"])
    return {
        "name": "moods",
        "text": "review",
        "label": "mood",
        "labels": ["negative", "positive"],
        "data": {split: str(folder / f"{split}.csv") for split in ("train", "evaluation")},
        "holdout": 0.2,
    }
