"""What is characterized: trainings of ten steps from old artifacts, with each objective, and small runs of whole pipelines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

FEW = ("--rows", "78", "--epochs", "1", "--batch-size", "8", "--precision", "fp32", "--keep-checkpoint", "last")
SHORT = (*FEW, "--max-length", "32", "--learning-rate", "1e-3")
TEXT = (*FEW, "--learning-rate", "1e-3")
LINES = ("--epochs", "0.5", *FEW[4:], "--max-length", "16", "--learning-rate", "1e-3")
DISTILL = ("distill", *SHORT, "--layers", "1")
WRITE = ("distill", *TEXT, "--decoder-layers", "1", "--encoder-layers", "1")
CONTINUE = ("distill", *LINES, "--decoder-layers", "1")
CALIBRATION = ("--calibration", str(Path(__file__).with_name("few_rows.yaml")))
QAT = ("qat", *CALIBRATION)
STATIC = ("quantize", "--mode", "static", "--outlier-layers", "static", *CALIBRATION)
GPTQ = ("--rounding", "gptq", "--group-size", "16", *CALIBRATION, "--allow-disagreement")


@dataclass(frozen=True)
class Case:
    """A command on an old artifact."""

    source: str
    command: tuple[str, ...]


ENCODER = {
    "finetune": Case("encoder/imported", ("finetune", *SHORT)),
    "accumulated": Case(
        "encoder/imported", ("finetune", *SHORT, "--gradient-accumulation-steps", "3", "--epochs", "2")
    ),
    "soft-targets": Case("encoder/finetuned", (*DISTILL, "--temperature", "3", "--alpha", "0.7")),
    "schedules": Case("encoder/finetuned", (*DISTILL, "--temperature", "8..2", "--alpha", "1..0.2")),
    "hidden-mse": Case("encoder/finetuned", (*DISTILL, "--hidden-weight", "1")),
    "hidden-cosine": Case("encoder/finetuned", (*DISTILL, "--hidden-weight", "1", "--hidden-loss", "cosine")),
    "hidden-patient": Case("encoder/finetuned", (*DISTILL, "--hidden-weight", "1", "--hidden-loss", "patient")),
    "attention-mse": Case("encoder/finetuned", (*DISTILL, "--attention-weight", "1")),
    "attention-kl": Case("encoder/finetuned", (*DISTILL, "--attention-weight", "1", "--attention-loss", "kl")),
    "relations": Case("encoder/finetuned", (*DISTILL, "--relation-weight", "1")),
    "live-teacher": Case("encoder/finetuned", (*DISTILL, "--hidden-weight", "1", "--teacher-cache-gb", "0")),
    "narrower": Case(
        "encoder/finetuned",
        ("distill", *SHORT, "--hidden-size", "16", "--heads", "2", "--hidden-weight", "1", "--embedding-weight", "1"),
    ),
    "two-stages": Case(
        "encoder/finetuned", (*DISTILL, "--hidden-weight", "1", "--intermediate-epochs", "0.5", "--epochs", "0.5")
    ),
    "two-teachers": Case(
        "encoder/finetuned", (*DISTILL, "--teachers", "encoder/distilled", "--teacher-weights", "2,1")
    ),
    "augmented": Case("encoder/finetuned", (*DISTILL, "--augment", "1", "--epochs", "0.5")),
    "with-and-without-teacher": Case("encoder/finetuned", (*DISTILL, "--with-baseline")),
    "recovery": Case(
        "encoder/finetuned",
        ("prune", *SHORT, "--method", "structured", "--target-ratio", "0.6", "--calibration", "task-256"),
    ),
    "movement": Case("encoder/finetuned", ("prune", *SHORT, "--method", "movement", "--sparsity", "0.5")),
    "gradual": Case("encoder/finetuned", ("prune", *SHORT, "--method", "magnitude", "--sparsity", "0.5")),
    "qat": Case("encoder/distilled", ("qat", *SHORT, "--calibration", "task-256")),
    "int4-gptq": Case("encoder/finetuned", ("quantize", "--mode", "weights", "--precision", "int4", *GPTQ)),
    "regression": Case("regression/finetuned", ("finetune", *SHORT)),
    "regression-qat": Case("regression/finetuned", (*QAT, *SHORT)),
    "regression-distilled": Case("regression/finetuned", ("distill", *SHORT, "--student", "regression/finetuned")),
}
SEQ2SEQ = {
    "finetune": Case("seq2seq/imported", ("finetune", *TEXT, "--label-smoothing", "0.1")),
    "accumulated": Case("seq2seq/imported", ("finetune", *TEXT, "--gradient-accumulation-steps", "3", "--epochs", "2")),
    "frozen-first": Case(
        "seq2seq/imported",
        ("finetune", *TEXT, "--freeze-encoder-epochs", "0.5", "--encoder-lr-multiplier", "2", "--epochs", "0.5"),
    ),
    "forward-kl": Case("seq2seq/imported", WRITE),
    "live-teacher": Case("seq2seq/imported", (*WRITE, "--top-k", "0")),
    "few-tokens-kept": Case("seq2seq/imported", (*WRITE, "--top-k", "4", "--temperature", "2")),
    "reverse-kl": Case("seq2seq/imported", (*WRITE, "--divergence", "reverse_kl")),
    "jsd": Case("seq2seq/imported", (*WRITE, "--divergence", "jsd", "--jsd-beta", "0.3")),
    "on-policy": Case("seq2seq/imported", (*WRITE, "--on-policy", "0.5")),
    "pseudo-labels": Case("seq2seq/imported", (*WRITE, "--sequence-kd", "1", "--beams", "2")),
    "encoder-stands-still": Case(
        "seq2seq/imported", ("distill", *TEXT, "--decoder-layers", "1", "--freeze-encoder", "--alpha", "1")
    ),
    "with-and-without-teacher": Case("seq2seq/imported", (*WRITE, "--with-baseline")),
    "recovery": Case("seq2seq/imported", ("prune", *TEXT, "--method", "structured", "--target-ratio", "0.6")),
    "qat": Case("seq2seq/imported", (*QAT, *TEXT, "--epochs", "0.5")),
    "int8-static": Case("seq2seq/imported", STATIC),
    "int4-gptq": Case("seq2seq/imported", ("quantize", "--mode", "weights", "--precision", "int4", *GPTQ)),
}
DECODER = {
    "finetune": Case("decoder/imported", ("finetune", *LINES)),
    "forward-kl": Case("decoder/imported", CONTINUE),
    "on-policy": Case("decoder/imported", (*CONTINUE, "--on-policy", "0.5")),
    "recovery": Case("decoder/imported", ("prune", *LINES, "--method", "structured", "--target-ratio", "0.6")),
    "qat": Case("decoder/imported", (*QAT, *LINES)),
    "int8-static": Case("decoder/imported", STATIC),
    "gptq": Case(
        "decoder/imported",
        ("quantize", "--mode", "gptq", "--precision", "int4", "--exclude", "*.[kv]_proj", *GPTQ[2:]),
    ),
}
TRAININGS = {
    f"{kind}/{name}": case
    for kind, cases in (("encoder", ENCODER), ("seq2seq", SEQ2SEQ), ("decoder", DECODER))
    for name, case in cases.items()
}
FEW_STEPS = {"epochs": 1, "batch_size": 16, "precision": "fp32", "learning_rate": 1e-3}
SHORT_STEPS = {**FEW_STEPS, "max_length": 32}
INT8 = {"precision": "int8", "mode": "dynamic"}
PIPELINES: dict[str, dict[str, Any]] = {
    "encoder": {
        "teacher": {"finetune": SHORT_STEPS},
        "student": {"from": "teacher", "distill": {**SHORT_STEPS, "layers": 1, "with_baseline": True}},
        "student-pruned": {
            "from": "student",
            "prune": {"method": "kwon", "target_ratio": 0.7, "calibration": "task-256"},
        },
        "zeros": {"from": "student", "prune": {"method": "magnitude", "sparsity": 0.5}},
        "student-int8": {"from": "student", "quantize": INT8},
        "student-static": {"from": "student", "quantize": {**INT8, "mode": "static", "calibration": "task-256"}},
        "student-qat": {"from": "student", "qat": {**SHORT_STEPS, "calibration": "task-256"}},
    },
    "seq2seq": {
        "student": {
            "distill": {**FEW_STEPS, "decoder_layers": 1, "encoder_layers": 1, "with_baseline": True},
        },
        "int8": {"quantize": INT8},
        "student-int8": {"from": "student", "quantize": INT8},
    },
    "decoder": {
        "int8": {"quantize": INT8},
        "int4-weights": {"quantize": {"precision": "int4", "mode": "weights"}},
        "student": {"distill": {**SHORT_STEPS, "layers": 1}},
    },
}
"""Tiny ones of `quickstart`, `samsum` and `decoder`; each starts from a trained old artifact of its kind."""
SUITE = {"threads": 1, "rounds": 2, "repeats": 0, "conditions": [{"batch": 1, "length": "real", "calls": 2}]}
CLASSES = ([0, 1, 2, 1, 0, 2, 2, 1, 0, 0], [0, 1, 1, 1, 0, 2, 0, 1, 2, 0])
PAIRS_OF_CLASSES = ([0, 1, 1, 1, 0, 0, 1, 1, 0, 0], [0, 1, 1, 0, 0, 1, 0, 1, 1, 0])
NUMBERS = ([0.5, 2.5, 1.0, 4.0, 3.5, 3.5, 0.0], [1.0, 2.0, 1.5, 3.0, 4.0, 2.5, 0.5])
TEXTS = (
    ["the film was good", "a dull plot, and a poor screen", "it never works again", ""],
    ["the film was very good", "a dull book with a poor plot", "it always works", "fine"],
)
LIKELIHOODS = ([[-0.5, -1.25, -0.1], [-2.0]], [[4, 5, 6], [7]])
"""The log-likelihood of each token, and the tokens."""
TOKENS = ([[4, 5, 6, 3], [7, 2]], [[4, 5, -100, 9], [7, 8]])
