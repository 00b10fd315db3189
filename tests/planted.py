"""A tiny classifier with one layer that int8 breaks, and a task whose labels are its own fp32 predictions."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import WORDS, write_model

LAYER = "bert.encoder.layer.1.attention.output.dense"
"""The layer whose input has an outlier: one channel is four thousand times the others."""
FACTOR = 4000.0


def planted_model(folder: Path) -> Path:
    """In floating point the outlier changes nothing: values are multiplied by a factor, the weights that read them divided."""
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(write_model(folder, "bert"))
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(4)  # the layers differ, and answers depend on the text
        attention = model.bert.encoder.layer[1].attention
        attention.self.value.weight[5] *= FACTOR
        attention.self.value.bias[5] *= FACTOR
        attention.output.dense.weight[:, 5] /= FACTOR
    model.save_pretrained(folder)
    return folder


def task_of(model: Path, folder: Path, *, rows: int = 400) -> dict[str, Any]:
    """Training rows labelled by the model itself, in fp32: it has every one of them right. Half are held out."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(0)
    texts = [" ".join(chance.choices(WORDS, k=chance.randint(3, 9))) for _ in range(rows)]
    tokenizer, opened = AutoTokenizer.from_pretrained(model), AutoModelForSequenceClassification.from_pretrained(model)
    with torch.no_grad():
        scores = opened.eval()(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    middle = (scores[:, 1] - scores[:, 0]).median()
    with torch.no_grad():  # both classes are as frequent
        opened.classifier.bias[1] -= middle
    opened.save_pretrained(model)
    with (folder / "train.csv").open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["review", "mood"])
        for text, score in zip(texts, scores, strict=True):
            out.writerow([text, "positive" if score[1] - middle > score[0] else "negative"])
    return {
        "name": "planted",
        "text": "review",
        "label": "mood",
        "labels": ["negative", "positive"],
        "data": {"train": str(folder / "train.csv")},
        "holdout": 0.5,
    }


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The model's folder and its task. What is made beside the folder shares one export."""
    folder = tmp_path_factory.mktemp("planted")
    model = planted_model(folder / "model")
    return model, task_of(model, folder / "data")
