"""Predicts with a torch or an ONNX artifact: a label with its probabilities, tags, a score, or a text.

An artifact predicts as `compress benchmark` measures it: texts are truncated as in training, a model that was only stored in 16
bits is opened in fp32, and ONNX Runtime has the session options of the suites.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.progress import say, warn
from compress.tasks import kinds
from compress.tasks.kinds import Inference, Kind
from compress.tasks.kinds.laws import CATEGORICAL, Law

BATCH = 32
NEW_TOKENS = 64
"""Maximum number of generated tokens if neither the task nor the model sets one."""

Text = str | tuple[str, str]
"""An input: one text, or a pair."""


def predictions(
    artifact: Artifact,
    texts: Sequence[str],
    pair: str | None = None,
    *,
    runtime: str | None = None,
    beams: int | None = None,
    new_tokens: int | None = None,
) -> Iterator[dict[str, Any]]:
    """The prediction for each text: `{"label", "probabilities"}`, `{"score"}` for a regression, or `{"output"}` with the
    generated text.

    Args:
        pair: the second text of each, for models that read text pairs.
        runtime: by name; by default the format's.
        beams: generative models: the number of beams, 1 for greedy search; by default the generation config's.
        new_tokens: generative models: maximum number of generated tokens; by default the task's or the generation config's.

    Raises:
        CompressError: a text is empty or not Unicode, no runtime here opens the artifact, it cannot generate so many tokens,
            or a setting or a second text does not fit its kind.
    """
    given: list[Text] = [text if pair is None else (text, pair) for text in texts]
    predictor = opened(artifact, runtime=runtime, beams=beams, new_tokens=new_tokens)
    predictor.check_kind(is_pair=pair is not None)
    for one in given or [""]:
        check_text(one)
    yield from predictor.answers(given)
    predictor.report_truncated()


def check_text(text: Text) -> None:
    """Raises a CompressError if a text is empty or not valid Unicode (half a surrogate pair)."""
    for one in (text,) if isinstance(text, str) else text:
        if not one.strip():
            raise CompressError("One of the texts is empty.")
        if not one.isascii():
            try:
                one.encode("utf-8")
            except UnicodeEncodeError as error:
                raise CompressError(
                    f"A text is not Unicode: its character {error.start + 1} is half a pair or a byte that is not UTF-8. "
                    "Save it as UTF-8."
                ) from error


def opened(
    artifact: Artifact,
    *,
    runtime: str | None = None,
    beams: int | None = None,
    new_tokens: int | None = None,
    threads: int = 1,
) -> Predictor:
    """The artifact, checked and opened for prediction.

    Raises:
        CompressError: as `predictions`, or the number of threads is below 1.
    """
    from compress.data import loading
    from compress.models import labels
    from compress.models.load import generates
    from compress.models.pretrained import raw_config
    from compress.runtimes.choice import runtime_for
    from compress.runtimes.runtime import Serving, as_measured

    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise CompressError(f"A model runs on a whole number of threads, 1 or more, not {threads!r}.")
    artifact = as_measured(artifact)
    chosen = runtime_for(artifact, runtime)
    reason = chosen.why_not(artifact, "cpu")
    if reason:
        raise CompressError(f"{artifact.folder} cannot be run here: {reason}.")
    artifact.check_files()
    serving = Serving(threads=threads, options=chosen.served_with)
    task = loading.resolve(dict(artifact.task))[0] if artifact.task else None
    if generates(artifact.folder):
        return _generator(artifact, task, chosen.opened_generator(artifact, serving), beams, new_tokens)
    if beams or new_tokens:
        raise CompressError(
            f"{artifact.folder} is a classifier, which does not generate text. Leave out --beams and --new-tokens."
        )
    names = labels.of_config(raw_config(artifact.folder), artifact.folder)
    return _classifier(artifact, task, chosen.opened(artifact, serving), names)


@dataclass
class Predictor:
    """An open model, and a count of the texts so far that were too long for it."""

    artifact: Artifact
    task: Any
    """The `compress.tasks.task.Task`; None if the artifact has none."""
    length: int | None
    """Number of tokens at which texts are truncated; None without a limit."""
    counts: dict[str, int] = field(default_factory=lambda: {"truncated": 0, "longest": 0, "read": 0})

    is_generative = False

    @property
    def is_pair(self) -> bool | None:
        """Whether it reads two texts; None without a task that says so."""
        return None if self.task is None else bool(self.task.is_pair and not self.task.is_generative)

    def check_kind(self, *, is_pair: bool) -> None:
        """Raises a CompressError if a pair is given to a model for single texts, or a single text to a model for pairs."""
        if is_pair and self.is_generative:
            raise CompressError(f"{self.artifact.folder} reads single texts. Leave out --pair.")
        if self.is_pair is None or is_pair == self.is_pair:
            return
        name, columns = self.task.name, " and ".join(self.task.text_columns)
        if is_pair:
            raise CompressError(
                f"{self.artifact.folder} is a model for {name}, which reads one text ({columns}). Leave out the "
                "second one (--pair)."
            )
        raise CompressError(
            f"{self.artifact.folder} is a model for {name}, which reads two texts ({columns}). Give the second one with "
            "--pair, or many pairs as `text<TAB>second text` lines: `--file pairs.tsv`, or `-` for standard input."
        )

    def answers(self, texts: Iterable[Text]) -> Iterator[dict[str, Any]]:
        """A prediction for each text, in batches as the texts come."""
        raise NotImplementedError

    def report_truncated(self) -> None:
        """Warn how many of the texts were truncated."""
        if self.counts["truncated"]:
            many = f"{self.counts['truncated']} of {self.counts['read']} texts"
            limit = "this model reads" if self.length is None else f"the {self.length} tokens that this model reads"
            warn(f"{many} are longer than {limit} and were truncated.")


@dataclass
class Classifier(Predictor):
    """A model that does not generate: its kind turns its outputs into predictions and shows them."""

    kind: Kind = field(default_factory=lambda: kinds.by_adapter(""))
    session: Any = None
    tokenizer: Any = None
    names: Sequence[str] = ()
    law: Law = CATEGORICAL

    def answers(self, texts: Iterable[Text]) -> Iterator[dict[str, Any]]:
        """The labels with their probabilities, the scores, or what the kind shows, computed in batches. An int8 ONNX model
        processes one text at a time: its ranges depend on the batch, and a prediction must not depend on other texts."""
        waiting = iter(texts)
        while some := list(islice(waiting, 1 if self._ranges_depend_on_the_batch else BATCH)):
            yield from self._answers(some)

    @property
    def _ranges_depend_on_the_batch(self) -> bool:
        return self.artifact.precision == "int8" and self.artifact.format != "openvino"  # whose ranges are fixed

    def _answers(self, texts: Sequence[Text]) -> Iterator[dict[str, Any]]:
        read = self._examples(texts)
        rows = self._rows(read)
        self.counts["read"] += len(texts)
        inference = Inference(self._outputs(rows), rows, read, self.law, self.names, self.artifact.facts)
        if self.kind.present is not None:
            return self.kind.present(inference)
        return ({"output": np.asarray(one).tolist()} for one in self.kind.judge(inference))

    def _examples(self, texts: Sequence[Text]) -> dict[str, Sequence[Any]]:
        """As a reader of rows gives them: `text` (words separated by blanks), and `text_pair` where there are two."""
        first = [text if isinstance(text, str) else text[0] for text in texts]
        if self.kind.reads_words:
            return {"text": [text.split() for text in first]}
        return {"text": first, **({} if isinstance(texts[0], str) else {"text_pair": [text[1] for text in texts]})}

    def _rows(self, texts: Mapping[str, Sequence[Any]]) -> Any:
        from compress.runtimes.rows import encoded_rows

        assert self.length is not None
        return encoded_rows(self.kind, texts, self.tokenizer, self.length, self.counts)

    def _outputs(self, rows: Any) -> dict[str, Any]:
        """The model's outputs by name, see `compress.runtimes.rows.predict_all`."""
        from compress.runtimes.rows import predict_all

        try:
            found = predict_all(self.session, rows, outputs=self.kind.outputs)
        except CompressError:
            raise
        except Exception as error:  # a runtime's own, of many classes
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise CompressError(
                f"{self.artifact.folder} cannot predict ({reason[:250]}). Check that tokenizer and weights match."
            ) from error
        if not all(np.isfinite(values).all() for values in found.values()):
            raise CompressError(
                f"{self.artifact.folder} gives outputs that are NaN or infinite. Its weights are damaged, or its "
                "precision is too small for it: make it again."
            )
        return {name: values.astype(np.float64) for name, values in found.items()}


@dataclass
class Generator(Predictor):
    """A generative model, which generates a text for each text, one after another, with its own generation config."""

    generator: Any = None
    tokenizer: Any = None
    decoding: Any = None

    is_generative = True

    def answers(self, texts: Iterable[Text]) -> Iterator[dict[str, Any]]:
        """The text that it generates for each text."""
        from compress.data.model_rows import prompts_of
        from compress.runtimes.generating import generate

        for text in texts:
            assert isinstance(text, str)
            found = prompts_of([text], self.task, self.tokenizer, self.generator.config, length=self.length)
            self.counts["read"] += 1
            self.counts["truncated"] += found.cut
            ids = found.rows[0]["input_ids"][None]
            feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
            (written,) = generate(self.generator, feeds, self.decoding)
            yield {"output": self.tokenizer.decode(written, skip_special_tokens=True).strip()}


def _classifier(artifact: Artifact, task: Any, session: Any, names: Sequence[str]) -> Classifier:
    from compress.models.kinds import kind_of, law_in
    from compress.models.load import config, tokenizer
    from compress.models.reading_length import cut_at, trained_length

    its_tokenizer = tokenizer(artifact.folder)
    length = cut_at(trained_length(artifact.steps), its_tokenizer, config(artifact.folder))
    return Classifier(
        artifact,
        task,
        length,
        kind=kind_of(artifact.folder) or kinds.by_adapter(""),
        session=session,
        tokenizer=its_tokenizer,
        names=names,
        law=law_in(artifact.folder),
    )


def _generator(artifact: Artifact, task: Any, generator: Any, beams: int | None, new_tokens: int | None) -> Generator:
    from compress.models.load import tokenizer
    from compress.runtimes.generating import Decoding, room, rules

    own_settings = generator.generation_config.to_dict()
    most = room(generator)
    if new_tokens and most is not None and new_tokens >= most:
        raise CompressError(f"{artifact.folder} can generate at most {most} tokens. Set --new-tokens lower.")
    length = new_tokens or _length(task, own_settings)
    if most is not None and not new_tokens:
        length = min(length, most if generator.config.is_encoder_decoder else most // 2)
    reads = None if most is None or generator.config.is_encoder_decoder else most - length
    if (
        reads is not None and task is not None and task.generation is not None
    ):  # positions are needed for the generated tokens
        lengths = task.generation
        task = replace(task, generation=replace(lengths, max_source=min(lengths.max_source, reads)))
    own = own_settings.get("num_beams") or 1
    if beams is None and own > 1:
        say(f"{own} beams, from the model's generation config. `compress benchmark` measures with --beams 1 (greedy).")
    decoding = Decoding(beams=beams or own, max_new_tokens=length, rules=rules(own_settings))
    return Generator(
        artifact, task, reads, generator=generator, tokenizer=tokenizer(artifact.folder), decoding=decoding
    )


def _length(task: Any, own_settings: Mapping[str, Any]) -> int:
    if task is not None and task.generation is not None and task.of_kind.has_references:
        return int(task.generation.max_target)
    return int(own_settings.get("max_new_tokens") or NEW_TOKENS)
