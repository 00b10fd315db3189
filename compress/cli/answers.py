"""Prints the predictions of `compress predict`: one line for each text, or for each line of a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.cli.prediction_input import Layout, Line, blank_lines, format_of, read, sentences, shown
from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.printable import json_text, one_line
from compress.core.progress import warn
from compress.data import decoding
from compress.data.quotes import quoting
from compress.runtimes.predict import Predictor, Text, check_text, opened
from compress.tasks.task import Source


def answered(
    artifact: Artifact,
    texts: Sequence[str],
    file: Path | None,
    layout: Any,
    *,
    pair: str | None,
    runtime: str | None = None,
    beams: int | None,
    new_tokens: int | None,
    as_json: bool,
) -> Iterator[str]:
    """The lines to print, each as soon as it is available.

    Args:
        texts: as they were typed; `-` alone means standard input.
        file: instead of texts.
        layout: a `compress.cli.prediction_input.Format`; None: by the file's name, plain text for standard input.
        pair: the second text of each.
        runtime: by name; by default that of the artifact's format.
        as_json: an object a line instead of words.

    Raises:
        CompressError: as `compress.runtimes.predict.predictions` and `compress.cli.prediction_input.read`.
    """
    predictor = opened(artifact, runtime=runtime, beams=beams, new_tokens=new_tokens)
    if file is None and texts != ("-",):
        predictor.check_kind(is_pair=pair is not None)
        given: list[Text] = [text if pair is None else (text, pair) for text in texts]
        for one in given:
            check_text(one)
        for text, answer in zip(given, predictor.answers(given), strict=True):
            yield _words(text, answer, as_json)
        predictor.report_truncated()
        return
    if pair is not None:
        predictor.check_kind(is_pair=True)
    if file is None:
        if layout == "conll":
            raise CompressError("CoNLL is read from a file. Give it with --file.")
        yield from _bulk(
            predictor, read(sys.stdin.buffer, _layout(predictor, "standard input", layout, pair)), pair, as_json
        )
        return
    chosen = _layout(predictor, str(file), layout or format_of(file), pair)
    try:
        if chosen.format == "tsv" and _encloses(file, predictor.task, chosen):
            chosen = replace(chosen, format="csv", separator=chosen.separator or "\t")
        if chosen.format == "conll":
            yield from _bulk(predictor, sentences(file, chosen), pair, as_json)
            return
        with file.open("rb") as stream:
            yield from _bulk(predictor, read(stream, chosen), pair, as_json)
    except OSError as error:
        raise CompressError(f"{file} cannot be read ({error.strerror}).") from error


def _encloses(file: Path, task: Any, layout: Layout) -> bool:
    """Whether quotes enclose cells of a TSV, as where a task's rows are read."""
    if not file.is_file():
        return False  # a pipe is read once
    if task is not None and task.quoting:
        return bool(task.quoting == "csv")
    source = Source(file.name, "tsv", separator=layout.separator, encoding=layout.encoding)
    return quoting(file, source, of_known_layout=False) == "csv"


def _layout(predictor: Predictor, name: str, layout: Any, pair: str | None) -> Layout:
    """Each line is one text where `--pair` gives the second one."""
    is_pair = False if pair is not None or predictor.is_generative else predictor.is_pair
    task = predictor.task
    if task is None:
        return Layout(name, layout or "text", is_pair)
    encoding = task.encoding if task.encoding and decoding.keeps_line_feeds(task.encoding) else "utf-8"
    return Layout(name, layout or "text", is_pair, task.text_columns, task.separator, encoding)


def _bulk(predictor: Predictor, groups: Iterable[Sequence[Line]], pair: str | None, as_json: bool) -> Iterator[str]:
    """One line for each line of the input, an empty one for a line without a text."""
    blank: list[int] = []
    try:
        for group in groups:
            texts = [line.text if pair is None else (str(line.text), pair) for line in group if line.text is not None]
            answers = predictor.answers(texts) if texts else iter(())
            for line in group:
                if line.text is None:
                    blank.append(line.number)
                    yield json_text({"text": "", "error": "no text"}) if as_json else ""
                    continue
                text: Text = line.text if pair is None else (str(line.text), pair)
                words = _words(text, next(answers), as_json)
                yield words
    finally:
        if blank:
            warn(blank_lines(blank))
        predictor.report_truncated()


def _words(text: Text, answer: Mapping[str, Any], as_json: bool) -> str:
    if as_json:
        named = {"text": text} if isinstance(text, str) else {"text": text[0], "pair": text[1]}
        return json_text({**named, **answer})
    if "output" in answer:
        return one_line(answer["output"])  # --json keeps line feeds as they are
    if "tags" in answer:
        return one_line(
            " ".join(f"{word}/{tag or '?'}" for word, tag in zip(answer["words"], answer["tags"], strict=True))
        )
    if "labels" in answer:
        odds = "  ".join(f"{name} {share:.4f}" for name, share in answer["probabilities"].items())
        return one_line(f"{', '.join(answer['labels']) or '-'}  ({odds})  {shown(text)}")
    if "label" in answer:
        odds = "  ".join(f"{name} {share:.4f}" for name, share in answer["probabilities"].items())
        return one_line(f"{answer['label']}  ({odds})  {shown(text)}")
    return one_line(f"{answer['score']:.4f}  {shown(text)}")
