"""Trains one student with TextBrewer's GeneralDistiller on the rows, in the order and from the start that ours has.

    python textbrewer_runner.py job.json

TextBrewer leaves the data, the optimizer, the schedule and the precision to its user. Here they are those of
`compress.training.train`: the same tokenized rows, order, padding, AdamW, warm-up, clipping and autocast. The loop, the losses
and their weights are TextBrewer's. Where the job needs no intermediate layers, the teacher's logits are computed once and
handed to it as `teacher_cache`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from textbrewer import DistillationConfig, GeneralDistiller, TrainingConfig
from torch.nn import functional as F
from transformers import get_linear_schedule_with_warmup

from compress.data import loading
from compress.data.collate import collate, epoch_order, row_lengths
from compress.models import load as models
from compress.models.layers import evenly_spaced, keep_layers, layer_count
from compress.training.train import wants_bf16

TEACHER_BATCH = 64
LONGEST_GRADIENT = 1.0  # transformers' Trainer clips at this norm


def main() -> None:
    """Trains and saves the student that the job file describes."""
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    tokenizer = models.tokenizer(Path(job["teacher"]))
    teacher = models.classifier(Path(job["teacher"]), new_head=False).float()
    task, data = loading.resolve(job["task"])
    rows = loading.tokenize(loading.load(task, data, "train").rows, tokenizer, job["max_length"]).rows
    student = keep_layers(teacher, evenly_spaced(layer_count(teacher.config), job["layers"]))
    matches = job["textbrewer"].get("intermediate_matches")
    logits = None if matches else teacher_logits(teacher, rows, tokenizer, Path(job["cache"]))
    batches = Batches(rows, tokenizer, job, logits)
    train(teacher, student, batches, job)
    models.save(student, tokenizer, Path(job["out"]))


class Batches:
    """The batches of each epoch in `compress.training.train`'s order; every pass over it is the next epoch."""

    def __init__(self, rows: Any, tokenizer: Any, job: Mapping[str, Any], logits: np.ndarray | None) -> None:
        self.rows, self.tokenizer, self.job = rows, tokenizer, job
        self.extras = {} if logits is None else {"teacher": logits}
        self.lengths = row_lengths(rows)
        self.epoch = 0

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / int(self.job["batch_size"]))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        size = self.job["batch_size"]
        order = epoch_order(self.lengths, size, self.job["seed"], self.epoch)
        self.epoch += 1
        for start in range(0, len(order), size):
            places = order[start : start + size].tolist()
            batch = collate([{**self.rows[place], "place": place} for place in places], self.tokenizer, self.extras)
            known = batch.pop("teacher", None)
            yield batch if known is None else {"teacher": {}, "student": batch, "teacher_cache": {"logits": known}}


def train(teacher: Any, student: Any, batches: Batches, job: Mapping[str, Any]) -> None:
    """One call of `GeneralDistiller.train`."""
    if wants_bf16(job["precision"]):
        for model in (teacher, student):
            model.forward = torch.autocast("cpu", torch.bfloat16)(model.forward)
    # As transformers' Trainer groups them: no decay of biases and of layer norms.
    weights = [one for one in student.parameters() if one.ndim > 1]
    others = [one for one in student.parameters() if one.ndim <= 1]
    groups = [{"params": weights, "weight_decay": job["weight_decay"]}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=job["learning_rate"], fused=True)
    epochs = int(job["epochs"])
    steps = len(batches) * epochs
    distiller = GeneralDistiller(
        TrainingConfig(output_dir=job["scratch"], device="cpu"),
        DistillationConfig(**job["textbrewer"]),
        teacher,
        student,
        lambda batch, outputs: found(outputs),
        lambda batch, outputs: {**found(outputs), "losses": F.cross_entropy(outputs.logits.float(), batch["labels"])},
    )
    wanted = {"output_hidden_states": True} if job["textbrewer"].get("intermediate_matches") else {}
    with distiller:
        distiller.train(
            optimizer,
            batches,
            num_epochs=epochs,
            scheduler_class=get_linear_schedule_with_warmup,
            scheduler_args={"num_warmup_steps": math.ceil(steps * job["warmup_ratio"]), "num_training_steps": steps},
            max_grad_norm=LONGEST_GRADIENT,
            **wanted,
        )


def found(outputs: Any) -> dict[str, Any]:
    """What TextBrewer is to compare: the logits in fp32, and the hidden states where the model gives them."""
    told = {"logits": outputs["logits"].float()}
    if outputs.get("hidden_states") is not None:
        told["hidden"] = [one.float() for one in outputs["hidden_states"]]
    return told


def teacher_logits(teacher: Any, rows: Any, tokenizer: Any, cache: Path) -> np.ndarray:
    """The teacher's logits, [rows, labels], computed once for these rows and kept in `cache`."""
    file = cache / f"{rows._fingerprint}.npy"
    if file.is_file():
        return np.asarray(np.load(file))
    order = np.argsort(-row_lengths(rows), kind="stable")
    logits = np.empty((len(rows), teacher.config.num_labels), dtype=np.float32)
    teacher.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=wants_bf16("auto")):
        for start in range(0, len(order), TEACHER_BATCH):
            places = order[start : start + TEACHER_BATCH].tolist()
            batch = collate([rows[place] for place in places], tokenizer, {})
            batch.pop("labels")
            logits[places] = teacher(**batch).logits.float().numpy()
    cache.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial.npy")
    np.save(partial, logits)
    partial.replace(file)
    return logits


if __name__ == "__main__":
    main()
