"""What a task is: its texts, its labels, its metrics, and where each split of its data is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from compress.core.errors import CompressError
from compress.tasks import kinds
from compress.tasks.kinds import Kind
from compress.tasks.kinds.laws import Law
from compress.tasks.kinds.template import Template

T = TypeVar("T")
SPLITS = ("train", "holdout", "evaluation", "test")

FURTHER_SPLITS = ("evaluation_mismatched",)
"""Splits that a few tasks are measured on beside the evaluation split, by metrics that name them (`Metric.split`)."""

KEPT_WHERE_SET = (
    "model_labels",
    "allow_overlap",
    "label_values",
    "separator",
    "encoding",
    "quoting",
    "only_these_files",
    "label_columns",
    "label_separator",
    "labels_from",
)


@dataclass(frozen=True)
class Source:
    """One layout in which a split's file may come.

    The first source of a split whose file exists and whose columns are there is the one that is read. `columns` names the
    columns of a file without a header; None means that the first line names them. `text` and `label` are set where
    this file calls its columns otherwise than the task does; a source with `labelled=False` has no label column.
    """

    file: str
    format: str = ""  # tsv, csv, jsonl, json, parquet or conll; empty: as the file's name ends
    columns: tuple[str, ...] | None = None
    text: tuple[str, ...] = ()
    label: str = ""
    labelled: bool = True
    may_have_more_columns: bool = False
    separator: str = ""  # of cells; empty: a comma in CSV, a tab else
    encoding: str = ""  # empty: by the byte order mark, else UTF-8
    quoting: str = ""  # csv: quotes enclose cells; none: they are text; empty: as the format has it


@dataclass(frozen=True)
class Hub:
    """Where the Hugging Face hub holds the task: `load_dataset(name, config, split=splits[our split])`."""

    name: str
    config: str
    splits: Mapping[str, str]


@dataclass(frozen=True)
class Generation:
    """How the texts of a generative task become a model's inputs and targets; plain data, kept in manifests.

    `prefix` stands before each source for an encoder-decoder; None: what its family was trained with (T5's `summarize: `).
    `prompt` is what a decoder reads, with `{source}` in it; empty: the usual one of the task's kind (see
    `compress.data.prompt_templates` for both). `line_end` replaces line ends within a source (` | `); None
    leaves them to the tokenizer, and most drop them. Sources and targets are cut at `max_source` and `max_target` tokens.
    `empty` says what becomes of a row whose source or target is empty; it is counted in any case. A dialogue's lines are
    its turns. `languages` are a translation's two. For language modelling `documents` says which rows (lines, of a
    text file) make one document: each alone, those up to an empty one, or a WikiText article with its heading; and
    `separate` whether documents are texts of their own or the parts of one.
    """

    prefix: str | None = None
    prompt: str = ""
    line_end: str | None = None
    max_source: int = 512
    max_target: int = 128
    empty: Literal["drop", "keep", "error"] = "drop"
    is_dialogue: bool = False
    languages: tuple[str, ...] = ()
    documents: Literal["rows", "paragraphs", "wikitext"] = "rows"
    separate: bool = True


@dataclass(frozen=True)
class Task:
    """Everything that reading, training and scoring need to know about a task; plain data, kept in manifests.

    Labels: `label_names` in id order, empty for a regression, whose labels are within `label_range`. `model_labels` says which
    of them a model's own name of an output means, where the names do not tell (`compress.models.labels`). `metrics` are names
    of `compress/metrics`, the first of which decides. `absent_labels` are spellings that say "nobody agreed on a label"
    (MNLI's `-`): such rows are left out and counted. `bad_rows` says what a row that cannot be read means: an error, or
    to be left out, counted and reported. `holdout` is the share of the training split, chosen by hash, that is kept out
    of `train`; `limit` the most rows per split, drawn with `seed`. `allow_overlap` lets evaluation rows be in the training
    rows (`compress.data.leakage`). `generator` names the package of `compress.tasks`
    that makes the rows, for a task without files. `generation` is there exactly for the generative kinds. `label_values`
    gives the id of each spelling of a label, where the data spells labels otherwise than by name or id. `separator`,
    `encoding` and `quoting` are those of text files, see `Source`. `only_these_files` says that the user named the file of
    each split, so that none is looked for by its name.

    Several labels a row: in token classification `text_columns` names the column of the words and `label_column` that of their
    tags; `labels_from` is the split in whose rows the names of the tags were found, empty where the user named them. In
    multi-label classification `label_column` holds a list of labels, or a text of labels between `label_separator`s; or
    `label_columns` names a column of 0 and 1 for each label, in the order of `label_names`.
    """

    name: str
    kind: str
    text_columns: tuple[str, ...]
    label_column: str
    metrics: tuple[str, ...]
    label_names: tuple[str, ...] = ()
    label_range: tuple[float, float] | None = None
    model_labels: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[Source, ...]] = field(default_factory=dict)
    hub: Hub | None = None
    generator: str = ""
    absent_labels: tuple[str, ...] = ()
    empty_text_is_bad: bool = True
    bad_rows: Literal["error", "skip"] = "error"
    holdout: float = 0.05
    limit: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0
    allow_overlap: bool = False
    generation: Generation | None = None
    label_values: Mapping[str, int] = field(default_factory=dict)
    separator: str = ""
    encoding: str = ""
    quoting: str = ""
    only_these_files: bool = False
    label_columns: tuple[str, ...] = ()
    label_separator: str = ""
    labels_from: str = ""

    @property
    def reads_words(self) -> bool:
        """Whether an example is a list of words with a tag for each."""
        return self.of_kind.reads_words

    @property
    def is_multi_label(self) -> bool:
        """Whether an example has any number of the labels."""
        return self.law.several

    @property
    def is_generative(self) -> bool:
        """Whether its models are generative: its labels are texts, or the text itself."""
        return self.of_kind.generates

    @property
    def of_kind(self) -> Kind:
        """What its rows, models and answers have in common with those of its like."""
        return kinds.by_task(self.kind)

    @property
    def template(self) -> Template:
        """What tasks of its kind are made from, and what is usual for them."""
        return self.of_kind.templates[self.kind]

    @property
    def law(self) -> Law:
        """What the scores of one of its answers mean."""
        return self.of_kind.laws[self.kind]

    @property
    def kind_in_words(self) -> str:
        """Its kind within a sentence: `token classification`."""
        return self.kind.replace("_", " ")

    @property
    def is_pair(self) -> bool:
        """Whether an example is two texts."""
        return len(self.text_columns) == 2

    @property
    def num_labels(self) -> int:
        """Outputs of a model for this task: one per label, or the one number of a regression."""
        return len(self.label_names) or 1

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return self.metrics[0]

    def to_json(self) -> dict[str, Any]:
        """As a JSON dictionary; `from_json` gives an equal task."""
        values: dict[str, Any] = _plain(dataclasses.asdict(self))
        for name in (*KEPT_WHERE_SET, "generation"):
            if not values[name]:
                del values[name]  # manifests and caches are as they were before there was one
        return values

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Task:
        """The task that `to_json` wrote; CompressError for what it did not write."""
        try:
            plain = dict(values)
            files = {
                split: tuple(Source(**{key: _frozen(value) for key, value in source.items()}) for source in sources)
                for split, sources in plain.pop("files", {}).items()
            }
            hub = plain.pop("hub", None)
            limit = dict(plain.pop("limit", {}))
            generation = plain.pop("generation", None)
            if generation is not None:
                generation = Generation(**{key: _frozen(value) for key, value in generation.items()})
            rest = {key: _frozen(value) for key, value in plain.items()}
            return Task(**rest, files=files, hub=Hub(**hub) if hub else None, limit=limit, generation=generation)
        except (TypeError, AttributeError) as error:
            raise CompressError(f"This task was not written by compress ({error}). Give the task again.") from error


@dataclass(frozen=True)
class DescribedTask:
    """A task as it travels, with the place of its data: read once, by `compress.data.loading.described_task`."""

    task: Task
    data: str | None
    """The folder of its data; None for the hub, or a task that makes its own."""
    description: Mapping[str, Any]
    """What the user wrote, and the labels that were found in the data: it is kept in manifests."""
    found: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What was read for it and is needed again on its way (by a check, an estimate and the step itself), see `once`."""

    def once(self, what: str, read: Callable[[], T]) -> T:
        """What `read` gives; for the same `what`, which names all that decides it, it is called once."""
        if what not in self.found:
            self.found[what] = read()
        result: T = self.found[what]
        return result


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
