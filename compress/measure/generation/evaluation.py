"""What models that write are evaluated on: the split as each one reads it, and by which rules it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.labels import NO_LABEL
from compress.data import generative as generation
from compress.data.loading import Split
from compress.measure import batches as inputs
from compress.measure.batches import REAL, Condition, Inputs
from compress.metrics.metric import Metric
from compress.metrics.perplexity import perplexity
from compress.models import load as models
from compress.models import reading_length
from compress.runtimes.generating import Decoding, rules
from compress.runtimes.rows import Rows
from compress.tasks.task import Generation, Task

LONGEST_CONTEXT = 1024
"""Tokens that a language model reads at once where neither its config nor the suite says fewer."""
FEWEST = 8
"""Tokens of a row that must be left to a source."""


@dataclass(frozen=True)
class Writing:
    """How generation is measured: the suite's settings that fit all the models measured."""

    decoding: Decoding
    new_tokens: int = 32
    """Written after a prompt of fixed length."""
    prompt_tokens: int = 32
    """Of a text, that a language model continues where texts of real length are timed."""
    context: int = LONGEST_CONTEXT
    """Tokens that a language model reads at once to score a text."""
    stride: int = LONGEST_CONTEXT // 2
    """Tokens from where it begins to where it begins again."""

    def to_json(self) -> dict[str, Any]:
        """What a worker is told."""
        return {"decoding": asdict(self.decoding), "new_tokens": self.new_tokens}


@dataclass(frozen=True)
class GenerativeEvaluation:
    """What the quality of every artifact is measured on."""

    task: Task
    """Its greatest lengths are such that all the models can read them, see `fitted`."""
    split: Split
    writing: Writing
    cache: Path
    root: str
    """The entry that agreement is measured with."""

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The task's, with context and stride where it is perplexity."""
        stated = perplexity(self.writing.context, self.writing.stride)
        return tuple(stated if one.name == "perplexity" else one for one in generation.metrics(self.task))

    @property
    def models_text(self) -> bool:
        """Whether texts are scored and none are written."""
        return not self.task.of_kind.has_references

    @property
    def condition(self) -> dict[str, Any]:
        """What quality is read under, beside the runtime."""
        if self.models_text:
            return {"split": "evaluation", "context": self.writing.context, "stride": self.writing.stride}
        decoding = self.writing.decoding
        return {"split": "evaluation", "beams": decoding.beams, "max_new_tokens": decoding.max_new_tokens}

    def identity(self) -> dict[str, Any]:
        """What decides the rows and what is written after them, beside the artifact and its tokenizer."""
        said = self.writing
        how = {"context": said.context, "stride": said.stride} if self.models_text else asdict(said.decoding)
        return {"split": self.split.identity, "generation": self.task.to_json()["generation"], **how}

    def worker(self) -> dict[str, Any]:
        """What a worker is told of writing."""
        return self.writing.to_json()

    def prepare(self, artifact: Artifact, conditions: Sequence[Condition], seed: int) -> Inputs:
        """The rows as the artifact's tokenizer gives them, and the batches of each condition.

        Raises:
            CompressError: the artifact has no tokenizer, or cannot do such a task.
        """
        tokenizer, has_encoder = models.tokenizer(artifact.folder), models.has_encoder(artifact.folder)
        if self.models_text:
            return self._windows(tokenizer, conditions, seed)
        if has_encoder:
            config, start = models.config(artifact.folder), start_token(artifact.folder)
            pairs = generation.for_encoder_decoder(
                self.split.rows, self.task, tokenizer, config.model_type, start, self.cache
            )
        else:
            pairs = generation.for_decoder(self.split.rows, self.task, tokenizer, self.cache)
        ids = [np.asarray(row, np.int64) for row in pairs.rows["input_ids"]]
        scored: dict[str, Rows] = {}
        if pairs.targets is not None:
            scored["labels"] = _labels(pairs.rows["labels"])
        if not has_encoder:
            scored["texts"] = _rows(ids, tokenizer)
            ids = [row[:length] for row, length in zip(ids, pairs.rows["prompt"], strict=True)]
        rows = replace(_rows(ids, tokenizer), side="right" if has_encoder else "left")
        return replace(inputs.prepare(rows, conditions, seed=seed, notes=pairs.notes), scored=scored)

    def _windows(self, tokenizer: Any, conditions: Sequence[Condition], seed: int) -> Inputs:
        """The texts in windows to be scored; what a model continues is the beginning of some of them."""
        said = self.writing
        found = generation.scored_windows(self.split.rows, self.task, tokenizer, said.context, said.stride, self.cache)
        texts = [np.asarray(row, np.int64) for row in found.rows["input_ids"]]
        begun = [row[: said.prompt_tokens] for row in texts if len(row) >= said.prompt_tokens] or texts
        notes = () if not found.not_counted else (f"{found.not_counted} first tokens of texts are not scored",)
        real = [one for one in conditions if one.length == REAL]
        fixed = [one for one in conditions if one.length != REAL]
        prompts = inputs.prepare(_rows(begun, tokenizer), real, seed=seed, notes=notes)
        filled = inputs.prepare(_rows(texts, tokenizer), fixed, seed=seed)
        scored = {
            "texts": _rows(texts, tokenizer),
            "labels": _labels(found.rows["labels"]),
        }
        return replace(prompts, batches={**prompts.batches, **filled.batches}, scored=scored)

    def documents(self, artifact: Artifact) -> list[int]:
        """The number of the document that each of a language model's windows begins in."""
        said, tokenizer = self.writing, models.tokenizer(artifact.folder)
        found = generation.scored_windows(self.split.rows, self.task, tokenizer, said.context, said.stride, self.cache)
        return list(found.rows["document"])


def fitted(task: Task, artifacts: Sequence[Artifact], longest: int | None = None) -> Task:
    """The task with sources so short that every one of these models can read them.

    An encoder-decoder reads a source and writes a target; a decoder has both in one row.

    Args:
        task: a generative one.
        artifacts: all that are measured.
        longest: tokens of a source that the suite allows.

    Raises:
        CompressError: a model has no room for a target of the task's length.
    """
    said = task.generation or Generation()
    sources = [said.max_source if longest is None else min(longest, said.max_source)]
    for one in _readable(artifacts):
        most = positions(one)
        if most is None or not task.of_kind.has_references:
            continue
        room = most if models.has_encoder(one.folder) else most - said.max_target
        if room < FEWEST or said.max_target > most:
            raise CompressError(
                f"{one.folder} reads {most} tokens at most, which leaves no room for a source beside a target of "
                f"{said.max_target}. Set a smaller max_target in task '{task.name}'."
            )
        sources.append(room)
    return replace(task, generation=replace(said, max_source=min(sources)))


def context_and_stride(artifacts: Sequence[Artifact], context: int | None, stride: int | None) -> tuple[int, int]:
    """The tokens that every one of these language models reads at once, and the stride: half of them by default.

    Raises:
        CompressError: the context asked for is more than a model reads, or the stride does not fit it.
    """
    known = [most for most in (positions(one) for one in _readable(artifacts)) if most is not None]
    if context is not None and known and context > min(known):
        raise CompressError(
            f"The suite's context is {context} tokens, but one of the models reads {min(known)} at most."
        )
    chosen = context or min([LONGEST_CONTEXT, *known])
    step = stride or max(chosen // 2, 1)
    if not step < chosen:
        raise CompressError(
            f"The suite's stride {step} does not fit a context of {chosen} tokens: take 1..{chosen - 1}."
        )
    return chosen, step


def positions(artifact: Artifact) -> int | None:
    """How many tokens a model reads at most by its config; None where it knows no limit (T5, BLOOM)."""
    return reading_length.positions(models.config(artifact.folder))


def start_token(folder: Path) -> int | None:
    """The token that an encoder-decoder's decoder starts from: as it generates, or else as its config says."""
    from compress.models.generation_config import generation_config

    said = generation_config(folder).decoder_start_token_id
    said = getattr(models.config(folder), "decoder_start_token_id", None) if said is None else said
    return None if said is None else int(said)


def rules_of(folder: Path) -> dict[str, Any]:
    """The rules of decoding that a model's folder asks for, see `compress.runtimes.generating.rules`."""
    from compress.models.generation_config import generation_config

    return rules(generation_config(folder).to_dict())


def _readable(artifacts: Sequence[Artifact]) -> list[Artifact]:
    """Those with a config: any other fails by itself, and stops nobody."""
    return [one for one in artifacts if (one.folder / "config.json").is_file()]


def _labels(rows: Sequence[Any]) -> Rows:
    """Labels as rows, padded with what is not counted."""
    return Rows({"input_ids": tuple(np.asarray(row, np.int64) for row in rows)}, {"input_ids": NO_LABEL})


def _rows(ids: Sequence[Any], tokenizer: Any) -> Rows:
    candidates = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
    padding = next(one for one in candidates if one is not None)
    return Rows.encode({"input_ids": ids, "attention_mask": [np.ones_like(row) for row in ids]}, padding)
