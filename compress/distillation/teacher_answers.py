"""A file of answers as a teacher: what another model, of any kind, answered to rows of the task and to further texts.

A row of the file whose text is a row of the transfer set gives its answer to that row; all others are further rows, which have
no label. Rows that the student is chosen or measured on are left out. Where there are references, answers take their place
(sequence-level distillation, Kim & Rush 2016); elsewhere they are soft targets, and a row without an answer learns from its
label alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import digest, hash_file
from compress.core.errors import CompressError
from compress.core.paths import named
from compress.core.progress import say, warn
from compress.data import loading
from compress.data.answers_file import Answer, Given, check, read
from compress.data.collate import ByToken, Extra, answer_starts
from compress.data.tokenized import generative_tokens, joined
from compress.data.word_pieces import WORD_IDS, word_starts
from compress.distillation import teacher_score
from compress.distillation.augmentation import extra_rows
from compress.distillation.augmentation.extra_rows import no_label, text_key, texts_of
from compress.distillation.distill_settings import Distill
from compress.distillation.loss_config import NEVER, PLAIN
from compress.distillation.sequence_kd import with_labels
from compress.metrics.metric import Undefined
from compress.tasks import scoring
from compress.tasks.task import DescribedTask, Task
from compress.training.data import TrainingData, holdout_score
from compress.training.objectives import Scored
from compress.training.validation import drawn

BATCH = 1000


@dataclass(frozen=True)
class TeacherAnswers:
    """The answers of a file that a student learns from."""

    name: str
    """Of the file."""
    task: Task
    asks_models: bool
    """Whether MODEL, and further teachers, are asked too."""
    given: Mapping[str, Answer]
    """By the hash of a row's texts; none of a row that the student is chosen or measured on."""
    trained: frozenset[str]
    """The hashes of those that are training rows."""
    labelled: tuple[tuple[Given, Any], ...]
    """The answers to labelled rows, training rows and held-out ones, each with its label."""
    features: Any
    """The columns of training rows."""
    identity: Mapping[str, Any]
    """What of the file decides the student: the hash of its content, and whether models are asked too."""
    left_out: Mapping[str, int] = field(default_factory=dict)

    def sentence(self) -> str:
        """`answers.jsonl: 20 answers, 8 of them to training rows and 12 to further texts. Left out: 2 in another split.`"""
        of_training = len(self.trained)
        counted = [f"{count:,} {reason.replace('_', ' ')}" for reason, count in self.left_out.items() if count]
        left_out = f" Left out: {', '.join(counted)}." if counted else ""
        return (
            f"{self.name}: {len(self.given):,} answers, {of_training:,} of them to training rows and "
            f"{len(self.given) - of_training:,} to further texts.{left_out}"
        )

    def with_rows(self, extra: extra_rows.Extra | None) -> extra_rows.Extra:
        """The rows beside the training rows: those of the file that are none of either, behind unlabelled and augmented ones."""
        known = self.trained | (set() if extra is None else set(extra.rows["row_hash"]))
        further = [one for key, one in self.given.items() if key not in known]
        rows = self._rows(further)
        facts: dict[str, Any] = {
            "teacher_answers": {
                "file": self.name,
                "answers": len(self.given),
                "training_rows": len(self.trained),
                "further_rows": len(further),
                "left_out": dict(self.left_out),
            }
        }
        if extra is None:
            return extra_rows.Extra(rows, facts, dict(self.identity))
        return extra_rows.Extra(joined(extra.rows, rows), {**extra.facts, **facts}, {**extra.identity, **self.identity})

    def settings(self, settings: Any) -> Any:
        """The settings with what is usual for answers: a temperature of 1, since they are used as they are written; and of a
        generative task, where no model is asked, no divergence from one."""
        if self.task.is_generative and not self.asks_models:
            return settings.model_copy(update={"alpha": NEVER})
        return settings if settings.temperature else settings.model_copy(update={"temperature": PLAIN})

    def score(self, *, allow_poor: bool) -> dict[str, Any]:
        """Report the score of the answers to labelled rows; no fact where they answer none.

        Raises:
            CompressError: they are shown to be worse than guessing, and may not be.
        """
        if not self.labelled:
            say(f"{self.name} answers no labelled row, so it has no score.")
            return {}
        if self.task.is_generative:
            some = [self.labelled[place] for place in drawn(len(self.labelled), self.task.seed)]
            found = _score_of_texts(self.task, [str(text) for text, _ in some], [str(label) for _, label in some])
            return self._reported(found, len(some))
        of_words = self.task.reads_words
        scores = np.concatenate([np.asarray(one) if of_words else np.asarray(one)[None] for one, _ in self.labelled])
        labels = np.concatenate([np.asarray(one if of_words else [one]) for _, one in self.labelled])
        starts = np.cumsum([0, *(len(one) for one, _ in self.labelled)]) if of_words else None
        told = self._reported(holdout_score(self.task)(scores, labels, starts), len(self.labelled))
        teacher_score.warn_of_one_class(self.name, scores, labels, self.task)
        reason = self.task.law.worse_than_guessing(scores, labels)
        if not reason:
            return told
        where = f"{self.name} has {reason} on {len(self.labelled):,} labelled rows that it answers"
        if not allow_poor:
            raise CompressError(
                f"{where}: its labels are probably swapped. Correct the file, or continue with --allow-poor-teacher (in YAML "
                "`allow_poor_teacher: true`)."
            )
        warn(f"{where}.")
        return {**told, "worse_than_guessing": reason}

    def _reported(self, scored: Scored, rows: int) -> dict[str, Any]:
        return {
            "teacher": self.name,
            **teacher_score.reported(self.name, scored, rows, "labelled rows that it answers"),
        }

    def in_references(self, data: TrainingData, student: Any, max_length: int) -> TrainingData:
        """A generative task's rows with the answers in place of the references; of another task the rows as they are.

        Args:
            student: the `compress.distillation.students.Student`, whose tokens they become.
        """
        if not self.task.is_generative:
            return data
        labels = [
            str(self.given[key].given) if key in self.given else label
            for key, label in zip(data.texts["row_hash"], data.texts["label"], strict=True)
        ]
        texts = with_labels(data.texts, labels)
        train, facts = generative_tokens(texts, data.task, student.tokenizer, student.model.config, max_length)
        if facts["cut"] and facts["cut"] != data.facts.get("cut"):
            warn(f"With the answers of {self.name}: {facts['cut']}.")
        return replace(data, texts=texts, train=train, facts={**data.facts, **facts})

    def outputs(self, data: TrainingData) -> dict[str, Extra]:
        """The answers as the outputs of one teacher, [rows, 1, outputs], or [words, 1, outputs]; NaN where there is none."""
        (output,) = self.task.of_kind.outputs
        hashes, outcomes = data.train["row_hash"], self.task.num_labels
        if output.of == "row":
            values = np.full((len(data.train), 1, outcomes), np.nan, np.float32)
            for place, key in enumerate(hashes):
                if key in self.given:
                    values[place, 0] = self.given[key].given
            return {output.name: values}
        starts = answer_starts(data.train)
        of_words = np.full((int(starts[-1]), 1, outcomes), np.nan, np.float32)
        for place, (key, ids) in enumerate(zip(hashes, data.train[WORD_IDS], strict=True)):
            if key in self.given:
                read_words = np.asarray(ids)[word_starts(ids)]  # a sentence that was cut has fewer
                of_words[starts[place] : starts[place + 1], 0] = np.asarray(self.given[key].given)[read_words]
        return {output.name: ByToken(of_words, starts, of_labels=True)}

    def _rows(self, answers: list[Answer]) -> Any:
        """Rows of these texts, as training rows are; without a label, unless it is the answer."""
        from datasets import Dataset

        columns: dict[str, list[Any]] = {name: [] for name in self.features}
        for one in answers:
            example = one.example
            label = one.given if self.task.is_generative else no_label(self.task, len(example.texts))
            cells = {**example.cells, "label": label, "row_hash": example.row_hash}
            for name, values in columns.items():
                values.append(cells[name])
        made = Dataset.from_dict(columns, features=self.features)
        content = [self.features.to_dict(), [[one.example.row_hash, str(one.given)] for one in answers]]
        return Dataset(made.data, info=made.info, fingerprint=digest(content))


def beside(models: Extra | None, answers: Extra) -> Extra:
    """One output of the models and of the answers, as of one more teacher: [..., teachers + 1, ...] behind the first axis."""
    if models is None:
        return answers
    if isinstance(models, ByToken) and isinstance(answers, ByToken):
        return replace(answers, values=np.concatenate([models.values, answers.values], axis=1))
    return np.concatenate([np.asarray(models), np.asarray(answers)], axis=1)


def identity(settings: Distill, task: Task) -> dict[str, Any]:
    """What of the file decides the student; empty where the settings name none.

    Raises:
        CompressError: there is no such file.
    """
    if settings.teacher_answers is None:
        return {}
    file = named(settings.teacher_answers)
    check(file)
    return {"teacher_answers": {"content": hash_file(file), "asks_models": asks_models(settings, task)}}


def asks_models(settings: Distill, task: Task) -> bool:
    """Whether MODEL is asked as a teacher: without a file of answers, or with further teachers or weights; in a generative task
    with an alpha that is set, or for the student's own samples."""
    if settings.teacher_answers is None or settings.teachers or settings.teacher_weights:
        return True
    alpha_is_given = "alpha" in settings.model_fields_set and settings.alpha.highest > 0
    return task.is_generative and (alpha_is_given or settings.on_policy > 0)


def answers_of(described: DescribedTask, settings: Distill) -> TeacherAnswers | None:
    """The answers that the settings name; None where they name none. The file is read once for a task on its way.

    Raises:
        CompressError: see `compress.data.answers_file.read`; or the student may learn from none of them.
    """
    if settings.teacher_answers is None:
        return None
    file, is_this = named(settings.teacher_answers), identity(settings, described.task)
    return described.once(f"answers in {file}: {is_this}", lambda: _answers(described, file, is_this))


def _answers(described: DescribedTask, file: Path, is_this: Mapping[str, Any]) -> TeacherAnswers:
    task, data = described.task, described.data
    found = read(task, file)
    train, held_out = (loading.load(task, data, name).rows for name in ("train", "holdout"))
    by_key = defaultdict(list)
    for row_hash, one in found.answers.items():
        texts = one.example.texts
        by_key[text_key((" ".join(texts),) if one.example.of_words else texts)].append(row_hash)
    kept_out: set[str] = set()
    for rows in loading.kept_apart(task, data):
        kept_out.update(row_hash for texts in texts_of(rows) for row_hash in by_key.get(text_key(texts), ()))
    given = {row_hash: one for row_hash, one in found.answers.items() if row_hash not in kept_out}
    if not given:
        raise CompressError(
            f"{file}: all {len(found.answers):,} texts are held-out, evaluation or test rows, which are not trained on. Give "
            "answers to other texts."
        )
    return TeacherAnswers(
        name=file.name,
        task=task,
        asks_models=is_this["teacher_answers"]["asks_models"],
        given=given,
        trained=frozenset(key for key, _ in _answered(train, given)),
        labelled=tuple(
            (found.answers[key].given, label)
            for rows in (train, held_out)
            for key, label in _answered(rows, found.answers)
        ),
        features=train.features,
        identity=is_this,
        left_out={"in_another_split": len(kept_out), **found.left_out},
    )


def _answered(rows: Any, answers: Mapping[str, Answer]) -> Iterator[tuple[str, Any]]:
    """The hashes and labels of the rows that have an answer."""
    for batch in rows.select_columns(["row_hash", "label"]).iter(BATCH):
        both = zip(batch["row_hash"], batch["label"], strict=True)
        yield from ((key, label) for key, label in both if key in answers)


def _score_of_texts(task: Task, texts: list[str], references: list[str]) -> Scored:
    metric = scoring.metrics(task)[0]
    try:
        return metric.name, metric.score(texts, references)
    except Undefined as reason:
        return metric.name, reason
