"""Text that a decoder generated itself: sampled from its own distribution, without cutting its tail, from a seed.

python benchmarks/own_text.py MODEL FOLDER [--texts 2304] [--tokens 240] [--seed 0]

Writes FOLDER/train.txt and FOLDER/evaluation.txt (every eighth text), one text a line with an empty line between two, and
FOLDER/task.yaml for `--task FOLDER/task.yaml`. Hardly anything predicts such text better than the model itself, so what
compression costs is plainly seen. The model's tokenizer must have a mark for the beginning of a text.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

BATCH = 96


def main() -> None:
    """Write the texts and their task."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--texts", type=int, default=2304)
    parser.add_argument("--tokens", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    said = parser.parse_args()
    model: Any = AutoModelForCausalLM.from_pretrained(said.model).float().eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(said.model)
    torch.manual_seed(said.seed)
    texts: list[str] = []
    while len(texts) < said.texts:
        start = torch.full((BATCH, 1), tokenizer.bos_token_id)
        written = model.generate(
            start, do_sample=True, top_k=0, temperature=1.0, max_new_tokens=said.tokens, pad_token_id=0
        )
        for row in written[:, 1:].tolist():
            ends = [row.index(mark) for mark in (tokenizer.bos_token_id, tokenizer.eos_token_id) if mark in row]
            text = " ".join(tokenizer.decode(row[: min(ends, default=len(row))], skip_special_tokens=True).split())
            texts += [text] if text else []
    del texts[said.texts :]
    said.folder.mkdir(parents=True, exist_ok=True)
    evaluation = texts[::8]
    train = [text for number, text in enumerate(texts) if number % 8]
    for name, some in (("train", train), ("evaluation", evaluation)):
        (said.folder / f"{name}.txt").write_text("\n\n".join(some) + "\n", encoding="utf-8")
    task = {
        "name": "own-text",
        "kind": "language_modelling",
        "data": {split: str(said.folder.resolve() / f"{split}.txt") for split in ("train", "evaluation")},
        "separate": True,
    }
    (said.folder / "task.yaml").write_text(yaml.safe_dump(task, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    main()
