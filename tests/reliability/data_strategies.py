"""Data files and descriptions of tasks as nobody should write them: valid ones, odd ones, and both with bytes changed.

`data_files` gives the ending of a file's name and its bytes, `descriptions` what stands under `task:`. A reader takes them or
refuses them with a CompressError.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from hypothesis import strategies as st

DataFile = tuple[str, bytes]
COLUMNS = ("text", "label")
"""The columns that the described task reads."""
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "windows-1252", "gb18030", "latin-1")
HOSTILE = (
    "",
    " ",
    "\0",
    '"',
    '""',
    '"""',
    "'",
    "\t",
    "\r",
    "\n",
    "\r\n",
    "\u2028",
    "\ufeff",
    "\u202e",
    "\ud83d",
    "\udc80",
    "-1",
    "nan",
    "inf",
    "1e999",
    "9" * 5000,
    "0x1",
    "true",
    "=1+1",
    "<script>",
    "{{ 1 }}",
    "\x1b[2J",
    "[" * 2000,
    "{" * 2000,
    '"' * 3001,
    "x" * 200_000,
)


def texts() -> st.SearchStrategy[str]:
    """Words, any characters, and what breaks readers."""
    return st.one_of(
        st.sampled_from(["good", "a bad film", "pos", "neg", "0", "1", "2"]),
        st.text(max_size=30),
        st.text(alphabet='a"\t,;\n\r\\', max_size=12),
        st.sampled_from(HOSTILE),
    )


def json_values() -> st.SearchStrategy[Any]:
    """What JSON and YAML can hold, nested."""
    plain = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from([10**4299, -(2**70)]), texts()
    )
    names = st.one_of(texts(), st.sampled_from(COLUMNS))
    return st.one_of(
        plain,
        st.lists(plain, max_size=4),
        st.dictionaries(names, plain, max_size=4),
        st.lists(st.dictionaries(names, st.lists(plain, max_size=2), max_size=2), max_size=3),
        st.dictionaries(names, st.dictionaries(names, plain, max_size=2), max_size=3),
    )


def rows() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows that mostly have the columns that are read."""
    good = st.fixed_dictionaries({"text": words(), "label": st.sampled_from(["neg", "pos", 0, 1])})
    odd = st.dictionaries(st.sampled_from(COLUMNS) | texts(), json_values(), max_size=4)
    likely = st.fixed_dictionaries({"text": texts(), "label": st.sampled_from(["neg", "pos", 0, 1, 2])})
    return st.lists(good, min_size=1, max_size=8) | st.lists(st.one_of(good, likely, odd), max_size=8)


def words() -> st.SearchStrategy[str]:
    """Texts that nothing is wrong with, quotes and separators among them."""
    return st.text(alphabet="ab \"',;\t|é😀", max_size=20).map(lambda text: f"a{text}b")


@st.composite
def tables(draw: st.DrawFn) -> DataFile:
    """CSV and TSV by Python's own writer or without any quoting, in any encoding."""
    suffix = draw(st.sampled_from([".csv", ".tsv", ".txt"]))
    separator = draw(st.sampled_from([",", "\t", ";", "|"]))
    header = draw(st.sampled_from([COLUMNS, ("text", "text", "label"), ("label",), ()]) | st.lists(texts(), max_size=4))
    lines = [list(header), *draw(st.lists(st.lists(texts(), min_size=1, max_size=3), max_size=8))]
    if draw(st.booleans()):
        label = st.sampled_from(["neg", "pos", "0", "1"])
        lines = [list(COLUMNS), *draw(st.lists(st.tuples(words(), label).map(list), min_size=1, max_size=8))]
    if draw(st.booleans()):
        stream = io.StringIO()
        ends, quoting = (
            draw(st.sampled_from(["\n", "\r\n", "\r"])),
            draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        )
        csv.writer(stream, delimiter=separator, lineterminator=ends, quoting=quoting).writerows(lines)
        content = stream.getvalue()
    else:
        content = draw(st.sampled_from(["\n", "\r\n"])).join(separator.join(line) for line in lines)
    return suffix, _encoded(draw, content)


@st.composite
def json_files(draw: st.DrawFn) -> DataFile:
    """A list of objects, an object a line, or something else."""
    suffix = draw(st.sampled_from([".json", ".jsonl", ".ndjson"]))
    kind = draw(st.sampled_from(["list", "lines", "nested", "anything", "brackets", "two lists"]))
    found = draw(rows())
    as_ascii = draw(st.booleans())

    def one(value: Any) -> str:
        return json.dumps(value, ensure_ascii=as_ascii)

    content = {
        "list": lambda: one(found),
        "lines": lambda: "".join(one(row) + "\n" for row in found),
        "nested": lambda: "".join(one({"text": {"body": row}, "label": 1}) + "\n" for row in found),
        "anything": lambda: one(draw(json_values())),
        "brackets": lambda: draw(st.sampled_from(["[", "{", '[{"text":', '{"a":'])) * draw(st.integers(1, 50_000)),
        "two lists": lambda: one(found) + one(found),
    }[kind]()
    return suffix, _encoded(draw, content)


@st.composite
def parquet_files(draw: st.DrawFn) -> DataFile:
    """Columns of any type that rows may have, packed in several ways."""
    import pyarrow
    from pyarrow import parquet

    count = draw(st.integers(0, 6))
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "string": st.text(alphabet=st.characters(codec="utf-8"), max_size=20),
        "int64": st.integers(-5, 5),
        "float64": st.floats(),
        "binary": st.binary(max_size=5),
        "bool": st.booleans(),
    }
    arrays, names = [], []
    for name in draw(st.sampled_from([COLUMNS, ("text", "text", "label"), ("text",), ("a.b", "label")])):
        kind = draw(st.sampled_from(list(kinds)))
        cells = draw(st.lists(kinds[kind] | st.none(), min_size=count, max_size=count))
        array = pyarrow.array(cells, getattr(pyarrow, kind)() if kind != "bool" else pyarrow.bool_())
        shape = draw(st.sampled_from(["plain", "plain", "dictionary", "list", "struct"]))
        if shape == "dictionary" and kind in ("string", "int64"):
            array = array.dictionary_encode()
        elif shape == "list":
            array = pyarrow.array([[cell] for cell in cells], pyarrow.list_(array.type))
        elif shape == "struct":
            array = pyarrow.array([{"body": cell} for cell in cells], pyarrow.struct([("body", array.type)]))
        arrays.append(array)
        names.append(name)
    stream = io.BytesIO()
    packed = draw(st.sampled_from(["NONE", "SNAPPY", "ZSTD"]))
    parquet.write_table(pyarrow.Table.from_arrays(arrays, names=names), stream, compression=packed)
    return ".parquet", stream.getvalue()


TAGS = ("O", "B-LOC", "I-LOC", "B-PER", "L-PER", "S-", "-", "_", "I", "B-LOC|O")


@st.composite
def conll_files(draw: st.DrawFn) -> DataFile:
    """A word a line with its tags beside it, and what such files have between sentences."""
    suffix = draw(st.sampled_from([".conll", ".conllu", ".bio", ".iob2", ".txt", ".tsv"]))
    word = words() | texts()
    columns = draw(st.integers(1, 4))
    line = st.tuples(word, *[st.sampled_from(TAGS)] * (columns - 1)).map(list)
    other = st.lists(texts(), max_size=5)
    marks = ["", "", "-DOCSTART- O", "# text = x", "# global.columns = ID FORM tags", "1-2\tdu\t_", "#\tO"]
    between = draw(st.sampled_from([" ", "\t", "  ", ","]))
    lines = draw(st.lists(st.one_of(line.map(between.join), st.sampled_from(marks)), max_size=12))
    if draw(st.booleans()):
        lines += draw(st.lists(other.map(between.join), max_size=4))
    return suffix, _encoded(draw, draw(st.sampled_from(["\n", "\r\n", "\n\n"])).join(lines))


@st.composite
def list_files(draw: st.DrawFn) -> DataFile:
    """An object a line with a list of words and of tags, or with a text and the list of its labels."""
    suffix = draw(st.sampled_from([".jsonl", ".json"]))
    word, odd = words() | texts(), texts() | json_values()
    tagged = st.integers(0, 5).flatmap(
        lambda count: st.fixed_dictionaries(
            {
                "tokens": st.lists(word, min_size=count, max_size=count),
                "tags": st.lists(st.sampled_from(TAGS) | st.integers(-1, 3), min_size=count, max_size=count),
            }
        )
    )
    labels = st.lists(st.sampled_from(["neg", "pos", 0, 1]), max_size=3) | st.sampled_from(["neg;pos", ";", "[]", None])
    several = st.fixed_dictionaries({"text": words(), "label": labels})
    uneven = st.fixed_dictionaries({"tokens": st.lists(odd, max_size=3) | odd, "tags": st.lists(odd, max_size=3) | odd})
    row = draw(st.sampled_from([tagged, several, st.one_of(tagged, several, uneven)]))
    found = draw(st.lists(row, max_size=8))
    content = json.dumps(found) if suffix == ".json" else "".join(json.dumps(one) + "\n" for one in found)
    return suffix, _encoded(draw, content)


@st.composite
def mutated(draw: st.DrawFn, files: st.SearchStrategy[DataFile]) -> DataFile:
    """The file with bytes changed, cut out, doubled or put in."""
    suffix, content = draw(files)
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(found) - 1, 0)))
        until = min(len(found), at + draw(st.integers(0, 40)))
        match draw(st.sampled_from(["flip", "cut", "end", "double", "insert"])):
            case "flip" if found:
                found[at] ^= draw(st.integers(1, 255))
            case "cut":
                del found[at:until]
            case "end":
                del found[at:]
            case "double":
                found[at:at] = found[at:until]
            case _:
                found[at:at] = draw(st.binary(max_size=8))
    return suffix, bytes(found)


def data_files() -> st.SearchStrategy[DataFile]:
    """Files of all formats, a half of them with changed bytes."""
    written = st.one_of(tables(), json_files(), parquet_files(), conll_files(), list_files())
    anything = st.tuples(
        st.sampled_from([".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".conll"]), st.binary(max_size=200)
    )
    return st.one_of(written, mutated(written), anything)


def descriptions(data: Any) -> st.SearchStrategy[Any]:
    """What stands under `task:`: mostly a right description with up to three keys that may be anything.

    Args:
        data: where the data of a right one is, as `{"train": FILE}`.
    """
    keys = (
        "name",
        "kind",
        "data",
        "text",
        "label",
        "labels",
        "model_labels",
        "metric",
        "bad_rows",
        "holdout",
        "limit",
        "seed",
        "range",
        "multi_label",
        "label_separator",
        "labels_from",
        "allow_overlap",
        "separator",
        "encoding",
        "quoting",
        "source",
        "target",
        "languages",
        "prefix",
        "prompt",
        "line_end",
        "max_source",
        "max_target",
        "empty",
        "dialogue",
        "documents",
        "separate",
    )
    right = st.sampled_from(
        [
            {"name": "mine", "data": data, "text": "text", "label": "label", "labels": ["neg", "pos"]},
            {"name": "mine", "data": data, "text": ["text", "label"], "label": "label", "labels": {0: "neg", 1: "pos"}},
            {"name": "mine", "kind": "regression", "data": data, "text": "text", "label": "label", "range": [0, 5]},
            {"name": "mine", "kind": "summarization", "data": data, "source": "text", "target": "label"},
            {"name": "mine", "kind": "language_modelling", "data": data, "source": "text"},
            *several_labels(data),
            {"name": "sst2", "data": data},
            {"name": "wikitext2", "data": data},
        ]
    )
    likely = st.sampled_from(
        [
            "train",
            "skip",
            "csv",
            "none",
            "accuracy",
            "f1",
            "entity_f1",
            "token-classification",
            "multi_label_classification",
            "\t",
            ";",
            "utf-16",
            "idna",
            "hex",
            {"train": 5},
            {"train": data},
            0.2,
            1,
            True,
        ]
    )
    value = likely | json_values()
    changed = st.dictionaries(st.sampled_from(keys), value, max_size=3)
    odd = st.dictionaries(st.sampled_from(keys) | texts() | st.integers(), value, max_size=3)
    merged = st.tuples(right, changed | odd).map(lambda both: {**both[0], **both[1]})
    return st.one_of(merged, merged, odd, json_values())


def several_labels(data: Any) -> tuple[dict[str, Any], ...]:
    """Right descriptions of tasks whose rows have several labels: a tag for each word, or any number for a text."""
    tags, labels = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"], ["neg", "pos"]
    about = {"name": "mine", "kind": "multi_label_classification", "data": data, "text": "text", "label": "label"}
    return (
        {"name": "mine", "kind": "token_classification", "data": data},
        {"name": "mine", "kind": "token_classification", "data": data, "labels": tags, "bad_rows": "skip"},
        {**about, "labels": labels},
        {**about, "labels": labels, "label_separator": ";", "bad_rows": "skip"},
    )


def _encoded(draw: st.DrawFn, content: str) -> bytes:
    encoding = draw(st.sampled_from(("utf-8",) * 6 + ENCODINGS))
    return content.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")
