"""How long a training step of a generative model takes, with logits at every position and only where a label counts: interleaved
rounds over the same batches, written to results/writing_step.json.

python benchmarks/writing_step.py MODEL TASK.yaml [--rounds 8] [--batch 48]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import yaml


def main() -> None:
    """Time both in turn, in one process, each on the same batch of the round; the batch of the first round is not counted."""
    import torch
    from torch.nn.functional import cross_entropy

    from compress.models.forward import logits_and_labels
    from compress.models.generators import generator
    from compress.models.load import tokenizer
    from compress.tasks.kinds.losses import mean_by_row
    from compress.training.data import data_for
    from compress.training.objectives import reference_tokens

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("task", type=Path)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--batch", type=int, default=48)
    said = parser.parse_args()
    torch.set_num_threads(2)
    model = generator(said.model).float().train()
    its_tokenizer = tokenizer(said.model)
    rows = (said.rounds + 1) * said.batch
    task = {**yaml.safe_load(said.task.read_text(encoding="utf-8")), "limit": {"train": 2 * rows}}
    data = data_for(task, its_tokenizer, model.config, 256)
    counting = reference_tokens(model)

    def everywhere(model: Any, batch: Any, progress: float) -> tuple[Any, Any]:
        logits, labels = logits_and_labels(model, batch)
        counted = labels != -100
        losses = cross_entropy(logits[counted].float(), labels[counted], reduction="none")
        return mean_by_row(losses, counted.nonzero()[:, 0]), {}

    seconds: dict[str, list[float]] = {"every place": [], "where a label counts": []}
    both = dict(zip(seconds, (everywhere, counting), strict=True))
    losses: dict[str, list[float]] = {name: [] for name in seconds}
    shares = []
    for number in range(said.rounds + 1):
        places = range(number * said.batch, (number + 1) * said.batch)
        batch = data.collate([data.train[place] for place in places], its_tokenizer, {})
        for name in list(both)[:: 1 if number % 2 else -1]:
            model.zero_grad()
            began = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16):
                loss, _ = both[name](model, batch, 0.0)
            loss.backward()
            seconds[name].append(time.perf_counter() - began)
            losses[name].append(loss.item())
        shares.append(float((batch["labels"] != -100).float().mean()))
    one, other = (values[1:] for values in seconds.values())
    found = {
        "model": said.model.name,
        "batch": said.batch,
        "labels_that_count": round(statistics.mean(shares[1:]), 4),
        "largest_difference_of_a_loss": max(abs(a - b) for a, b in zip(*losses.values(), strict=True)),
        "median_seconds": {name: round(statistics.median(values[1:]), 3) for name, values in seconds.items()},
        "ratio_by_round": [round(a / b, 3) for a, b in zip(one, other, strict=True)],
    }
    found["median_ratio"] = statistics.median(found["ratio_by_round"])
    out = Path(__file__).parent / "results" / "writing_step.json"
    out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
