"""Trains a decoder while its encoder is frozen: the encoder's states of all rows are computed once and cached on disk.

The encoder is the larger part of a step, and while it is frozen every epoch would compute the same states again. They are
stored in 16 bits, memory-mapped, under a hash of the encoder's weights and the rows, so another run finds them. The encoder's
embeddings are frozen too, or its states would change. A decoder that shares them gets its own table, which becomes that of
both at the end.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import digest, is_main_process
from compress.core.cache import entry, making, opened
from compress.core.progress import say
from compress.data.collate import ByToken, batches_by_length, collate_pairs, row_lengths
from compress.training.data import TrainingData
from compress.training.kept_outputs import Table, write_outputs
from compress.training.objectives import Objective, reference_tokens
from compress.training.train import TrainingSettings, train, wants_bf16

STATES = "encoder_states"
STAGE = "frozen encoder"
WEIGHTS = "weights.safetensors"
VALUES = "states.npy"
BATCH = 64
FLOAT16_MAX = 65504.0


@dataclass(frozen=True)
class Places:
    """The folders of a training stage."""

    scratch: Path
    """Checkpoints, and the weights once the stage is done."""
    cache: Path
    """What is keyed by content and may serve other runs."""


def train_decoder(
    model: Any,
    data: TrainingData,
    settings: TrainingSettings,
    *,
    its_tokenizer: Any,
    places: Places,
    name: str,
    label_smoothing: float = 0.0,
) -> Mapping[str, Any]:
    """Train all of an encoder-decoder but its encoder, in place; afterwards all of it can be trained again.

    A stopped run continues from its last checkpoint.

    Args:
        model: on which nothing is frozen.
        data: rows of `compress.data.seq2seq_pairs.for_encoder_decoder`.
        settings: those of this stage.
        its_tokenizer: of the model.
        places: see there.
        name: of the step, for messages.
        label_smoothing: see `compress.training.objectives.reference_tokens`.

    Returns:
        The results to record: those of `compress.training.train.train`, and the score on held-out rows at its end.

    Raises:
        CompressError: see `compress.training.train.train`.
    """
    from safetensors.torch import load_file, save_file

    frozen = [parameter.requires_grad_(False) for parameter in model.get_encoder().parameters()]
    try:
        finished = opened(places.scratch / "done")
        if finished is not None:
            model.load_state_dict(load_file(finished.folder / WEIGHTS), strict=False)
            return finished.facts
        states = encoder_states(
            model, data.train, its_tokenizer, bf16=wants_bf16(settings.precision), cache=places.cache
        )
        with own_table(model):
            done = train(
                model,
                decoder_objective(model, label_smoothing),
                data.train,
                data.holdout,
                settings,
                its_tokenizer=its_tokenizer,
                scratch=places.scratch,
                score=data.score,
                collate=data.collate,
                name=f"{name}, {STAGE}",
                extras={} if states is None else {STATES: states},
                stage=STAGE,
            )
        told = {**done.facts, "score": _score(model, data, name)}
        if is_main_process():
            with making(places.scratch / "done") as work:
                weights = {key: value.detach().contiguous() for key, value in model.named_parameters()}
                save_file(weights, work.folder / WEIGHTS)
                work.facts.update(told)
        return told
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)


@contextmanager
def own_table(model: Any) -> Iterator[None]:
    """Within it the decoder's embeddings and the output have a table apart from the encoder's; afterwards all have that one.

    1,200 dialogues into SAMSum a BART out of MiniLM had a loss of 5.2 so, and of 5.9 with a table that stood still; what
    the encoder makes of the new table afterwards changed the loss by less than 0.01.
    """
    import torch

    table = model.get_encoder().get_input_embeddings().weight
    inside = {id(module) for module in model.get_encoder().modules()}
    own = torch.nn.Parameter(table.detach().clone())
    holders = [
        (module, name)
        for module in (*model.get_decoder().modules(), model.get_output_embeddings())
        if id(module) not in inside
        for name, value in module.named_parameters(recurse=False)
        if value is table
    ]
    for module, name in holders:
        setattr(module, name, own)
    try:
        yield
    finally:
        for module, name in holders:
            setattr(module, name, table)
        if holders:
            with torch.no_grad():
                table.copy_(own)


def decoder_objective(model: Any, label_smoothing: float = 0.0) -> Objective:
    """`reference_tokens` from the encoder's states, of the batch, or computed without gradient or dropout where it has none."""
    minimized = reference_tokens(model, label_smoothing, states=True)

    def objective(trained: Any, batch: Mapping[str, Any], progress: float) -> tuple[Any, Mapping[str, Any]]:
        import torch

        if STATES not in batch:
            encoder = model.get_encoder().eval()
            with torch.no_grad():
                states = encoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
            batch = {**batch, STATES: states}
        return minimized(trained, batch, progress)

    return objective


def encoder_states(model: Any, rows: Any, its_tokenizer: Any, *, bf16: bool, cache: Path) -> ByToken | None:
    """The encoder's last hidden states of all rows, from the cache or computed in batches of like length.

    Args:
        model: an encoder-decoder.
        rows: tokenized, with `input_ids`.
        its_tokenizer: of the model.
        bf16: whether under bf16 autocast.
        cache: the folder for content-keyed results.

    Returns:
        [tokens of all rows, width], float16, memory-mapped; None, with a message, where they would take too much disk or
        do not fit into 16 bits: then the encoder runs at each step.
    """
    lengths = row_lengths(rows)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    needed = int(starts[-1]) * model.config.hidden_size * 2

    def make(work: Path) -> Mapping[str, Any]:
        room = 0.8 * shutil.disk_usage(cache).free
        if needed > room:
            raise _NoRoom(
                f"The encoder's states would take {needed / 1e9:.1f} GB of {room / 1e9:.1f} GB: the encoder runs at each step."
            )
        return {"fits": _fits(model, rows, its_tokenizer, starts, work / VALUES, bf16=bf16)}

    try:
        kept = entry(cache / "encoder" / digest([_weights(model), _content(rows), bf16]), make)
    except _NoRoom as reason:
        say(str(reason))
        return None
    if not kept.facts["fits"]:
        return None
    return ByToken(np.load(kept.folder / VALUES, mmap_mode="r", allow_pickle=False), starts)


class _NoRoom(Exception):  # noqa: N818 - it is a reason, not a mistake
    """The states would take too much of the disk; another run may find room, so this is not kept."""


class _TooLarge(Exception):  # noqa: N818 - it is a reason, not a mistake
    """A state that 16 bits do not hold; its magnitude."""


def _fits(model: Any, rows: Any, its_tokenizer: Any, starts: np.ndarray, file: Path, *, bf16: bool) -> bool:
    """Write the states; whether 16 bits hold them."""

    def batch_of(places: list[int]) -> Mapping[str, Any]:
        batch = collate_pairs([rows[place] for place in places], its_tokenizer, {})
        return {name: batch[name] for name in ("input_ids", "attention_mask")}

    def ask(batch: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
        states = encoder(**batch).last_hidden_state[batch["attention_mask"].bool()].float().cpu()
        if not float(states.abs().max()) <= FLOAT16_MAX:
            raise _TooLarge(float(states.abs().max()))
        return {STATES: states.numpy()}

    encoder = model.get_encoder().eval()
    batches = batches_by_length(row_lengths(rows), BATCH)
    try:
        write_outputs(model, batches, batch_of, ask, {STATES: Table(file, starts)}, name="encoder", bf16=bf16)
    except _TooLarge as reason:
        say(f"The encoder's states reach {reason.args[0]:g}, which 16 bits do not hold: the encoder runs at each step.")
        file.unlink(missing_ok=True)
        return False
    return True


def _score(model: Any, data: TrainingData, name: str) -> dict[str, float]:
    import torch

    from compress.metrics.metric import Undefined
    from compress.training.objectives import ModelScore

    assert isinstance(data.score, ModelScore)
    with torch.no_grad():
        metric, value = data.score.of(model.eval())
    if isinstance(value, Undefined):
        say(f"{name}, {STAGE}: {metric} does not exist on {data.score.rows} held-out rows: {value}")
        return {}
    say(f"{name}, {STAGE}: {metric} {value:.4f} on {data.score.rows} held-out rows.")
    return {metric: value}


def _weights(model: Any) -> str:
    """A hash of the encoder's weights and of what its config says."""
    found = hashlib.sha256(model.config.to_json_string().encode())
    for name, value in sorted(model.get_encoder().state_dict().items()):
        found.update(name.encode())
        found.update(value.detach().cpu().float().contiguous().numpy().tobytes())
    return found.hexdigest()


def _content(rows: Any) -> str:
    found = hashlib.sha256()
    for batch in rows.iter(1000):
        for ids in batch["input_ids"]:
            found.update(np.asarray([len(ids), *ids], np.int32).tobytes())
    return found.hexdigest()
