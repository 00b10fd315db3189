"""What generative models read in a benchmark: the split as each one reads it, and by which rules it generates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.labels import NO_LABEL
from compress.data.loading import Split
from compress.data.seq2seq_pairs import for_decoder, for_encoder_decoder
from compress.data.text_blocks import Windows, scored_windows
from compress.measure import batches
from compress.measure.batches import REAL, Condition, Inputs
from compress.measure.suite import Suite
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
class GenerationPlan:
    """How generation is measured: the suite's settings that fit all the models measured."""

    decoding: Decoding
    new_tokens: int = 32
    """Generated after a prompt of fixed length."""
    prompt_tokens: int = 32
    """Of a text, that a language model continues where texts of real length are timed."""
    context: int = LONGEST_CONTEXT
    """Tokens that a language model reads at once to score a text."""
    stride: int = LONGEST_CONTEXT // 2
    """Tokens from where it begins to where it begins again."""

    @staticmethod
    def of(suite: Suite, task: Task, artifacts: Sequence[Artifact]) -> GenerationPlan:
        """The plan of a suite. All generate by the first one's rules: another n-gram rule would be another comparison.

        Raises:
            CompressError: the suite's context or stride fits none of the models.
        """
        context, stride = context_and_stride(artifacts, suite.context, suite.stride)
        most = (task.generation or Generation()).max_target
        decoding = Decoding(suite.beams, most, rules_of(artifacts[0].folder))
        return GenerationPlan(decoding, suite.new_tokens, suite.prompt_tokens, context, stride)

    def to_json(self) -> dict[str, Any]:
        """The values given to a worker."""
        return {"decoding": asdict(self.decoding), "new_tokens": self.new_tokens}


@dataclass(frozen=True)
class GenerativeRows:
    """A task's split, read by one model after another."""

    task: Task
    """Its greatest lengths are such that all the models can read them, see `fitted`."""
    split: Split
    plan: GenerationPlan
    cache: Path
    seed: int = 0

    def prepare(self, artifact: Artifact, conditions: Sequence[Condition]) -> Inputs:
        """The rows as the artifact's tokenizer gives them, and the batches of each condition.

        Raises:
            CompressError: the artifact has no tokenizer, or cannot do such a task.
        """
        tokenizer, has_encoder = models.tokenizer(artifact.folder), models.has_encoder(artifact.folder)
        if not self.task.of_kind.has_references:
            return self._windows(tokenizer, conditions)
        if has_encoder:
            config, start = models.config(artifact.folder), start_token(artifact.folder)
            pairs = for_encoder_decoder(self.split.rows, self.task, tokenizer, config.model_type, start, self.cache)
        else:
            pairs = for_decoder(self.split.rows, self.task, tokenizer, self.cache)
        ids = [np.asarray(row, np.int64) for row in pairs.rows["input_ids"]]
        scored = {} if pairs.targets is None else {"labels": _labels(pairs.rows["labels"])}
        if not has_encoder:
            scored["texts"] = _rows(ids, tokenizer)
            ids = [row[:length] for row, length in zip(ids, pairs.rows["prompt"], strict=True)]
        rows = replace(_rows(ids, tokenizer), side="right" if has_encoder else "left")
        return replace(batches.prepare(rows, conditions, seed=self.seed, notes=pairs.notes), scored=scored)

    def _windows(self, tokenizer: Any, conditions: Sequence[Condition]) -> Inputs:
        """The texts in windows to be scored; what a model continues is the beginning of some of them."""
        found = self._scored_windows(tokenizer)
        texts = [np.asarray(row, np.int64) for row in found.rows["input_ids"]]
        most = self.plan.prompt_tokens
        begun = [row[:most] for row in texts if len(row) >= most] or texts
        notes = () if not found.not_counted else (f"{found.not_counted} first tokens of texts are not scored",)
        real = [one for one in conditions if one.length == REAL]
        fixed = [one for one in conditions if one.length != REAL]
        prompts = batches.prepare(_rows(begun, tokenizer), real, seed=self.seed, notes=notes)
        filled = batches.prepare(_rows(texts, tokenizer), fixed, seed=self.seed)
        scored = {"texts": _rows(texts, tokenizer), "labels": _labels(found.rows["labels"])}
        return replace(prompts, batches={**prompts.batches, **filled.batches}, scored=scored)

    def documents(self, artifact: Artifact) -> list[int]:
        """The number of the document that each of a language model's windows begins in."""
        return list(self._scored_windows(models.tokenizer(artifact.folder)).rows["document"])

    def _scored_windows(self, tokenizer: Any) -> Windows:
        plan = self.plan
        return scored_windows(self.split.rows, self.task, tokenizer, plan.context, plan.stride, self.cache)


def fitted(task: Task, artifacts: Sequence[Artifact], longest: int | None = None) -> Task:
    """The task with sources so short that every one of these models can read them.

    An encoder-decoder reads a source and generates a target; a decoder has both in one row.

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
    """The maximum number of tokens by a model's config; None without a limit (T5, BLOOM)."""
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
