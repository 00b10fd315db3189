"""A model that is loaded once and called with texts, torch or ONNX; it predicts as `compress predict` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast, overload

from compress.core.artifact import Artifact
from compress.core.errors import CompressError, shown
from compress.core.progress import track
from compress.runtimes.predict import BATCH, Predictor, Text, check_text, opened

Answer = dict[str, Any]


class ServedModel:
    """An open model: call it with one text, one pair of texts, or a list of them.

    Args:
        artifact: what to open.
        runtime: by name; by default that of the artifact's format.
        beams: of the search, 1 for greedy; by default what the model's generation config says. Of generative models.
        new_tokens: how many are written at most; by default what task or generation config says. Of generative models.
        threads: inside one operator, 1 or more.

    Raises:
        CompressError: no runtime here opens the artifact, or a setting is not of its kind.
    """

    def __init__(
        self,
        artifact: Artifact,
        *,
        runtime: str | None = None,
        beams: int | None = None,
        new_tokens: int | None = None,
        threads: int = 1,
    ) -> None:
        self.artifact = artifact
        self._predictor: Predictor = opened(
            artifact, runtime=runtime, beams=beams, new_tokens=new_tokens, threads=threads
        )

    def __repr__(self) -> str:
        one = self.artifact
        task = (one.task or {}).get("name", "no task")
        return f"<ServedModel {one.folder} ({one.format} {one.precision}, {task})>"

    @overload
    def __call__(self, texts: Text) -> Answer: ...  # type: ignore[overload-overlap]  # a text is a sequence of texts, too

    @overload
    def __call__(self, texts: Sequence[Text]) -> list[Answer]: ...

    def __call__(self, texts: Text | Sequence[Text]) -> Answer | list[Answer]:
        """The answer for one text, or the list of answers for a list: `{"label", "probabilities"}`, `{"score"}`, or `{"output"}`.

        Args:
            texts: a text; a pair of texts as a tuple; or a list of either. Texts of like length share a batch.

        Raises:
            CompressError: a text is empty, no text or not Unicode, or it is a pair where the model reads single texts, or the
                other way round.
        """
        if isinstance(texts, str) or (isinstance(texts, tuple) and len(texts) == 2):
            return self([cast(Text, texts)])[0]
        given = [_checked(one, self._predictor) for one in texts]
        self._predictor.counts.update(truncated=0, longest=0, read=0)
        order = sorted(range(len(given)), key=lambda number: _length(given[number]))
        answers = self._predictor.answers([given[number] for number in order])
        if len(given) > BATCH:
            answers = track(answers, "Answering", len(given))
        found: list[Answer] = [{} for _ in given]
        for number, answer in zip(order, answers, strict=True):
            found[number] = answer
        self._predictor.report_truncated()
        return found


def _checked(text: Any, predictor: Predictor) -> Text:
    if isinstance(text, list):
        text = tuple(text)
    if not isinstance(text, str) and not (
        isinstance(text, tuple) and len(text) == 2 and all(isinstance(one, str) for one in text)
    ):
        raise CompressError(
            f"{shown(text)} is neither a text nor a pair of texts. Give strings, or tuples of two strings."
        )
    predictor.check_kind(is_pair=not isinstance(text, str))
    check_text(text)
    return text


def _length(text: Text) -> int:
    """Characters: tokens are not counted yet, and grow with them."""
    return len(text) if isinstance(text, str) else sum(map(len, text))
