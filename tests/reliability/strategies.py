"""Hypothesis strategies: valid documents and files of every kind that `compress` reads, with something wrong in them."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

HOSTILE = (
    *("", " ", "\x00", "\x1b[2J\x1b]0;title\x07", "\u202eright to left", "\ud83d", "a\nb\r\nc", "../../../etc/passwd"),
    *("/etc/passwd", "~", ".", "..", "x" * 5000, "{{ 7 * 7 }}", "<script>alert(1)</script>", "=1+1", "%s%n", "$(true)"),
    *("null", "yes", "-0", "1e400", "\ufeff", "\u0000\uffff", "C:\\x", "http://127.0.0.1:9/x", "a/b", "con"),
)
NUMBERS = (0, -1, 1, 2**31, 2**63, 2**64, 10**400, -(10**400), 0.5, -0.0, float("inf"), float("-inf"), float("nan"))
scalars = st.one_of(st.none(), st.booleans(), st.sampled_from(NUMBERS), st.sampled_from(HOSTILE), st.text(max_size=20))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=8), st.sampled_from(HOSTILE)), inner, max_size=3),
    ),
    max_leaves=6,
)


def deep(depth: int) -> list[Any]:
    """Lists in lists."""
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every node below the document's root."""
    inner: Sequence[tuple[Any, Any]] = ()
    if isinstance(document, Mapping):
        inner = list(document.items())
    elif isinstance(document, list):
        inner = list(enumerate(document[:4]))
    return [found for key, value in inner for found in ((*path, key), *places(value, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn, document: Any, most: int = 3) -> Any:
    """A JSON document with up to `most` nodes replaced, removed, renamed or copied to another place."""
    found = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, most))):
        known = places(found)
        if not known:
            return draw(values)
        *path, last = draw(st.sampled_from(known))
        holder = found
        for key in path:
            holder = holder[key]
        how = draw(st.sampled_from(("replace", "replace", "remove", "rename", "copy", "deep")))
        if how == "remove":
            del holder[last]
        elif how == "rename" and isinstance(holder, dict):
            holder[draw(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8), st.integers(0, 3)))] = holder.pop(last)
        elif how == "copy":
            *other, end = draw(st.sampled_from(known))
            there = found
            for key in other:
                there = there[key] if not isinstance(there, str) else there
            holder[last] = copy.deepcopy(there[end])
        elif how == "deep":
            holder[last] = deep(draw(st.sampled_from((3, 100))))  # deeper ones: `JSON_TRICKS`, `YAML_TRICKS`
        else:
            holder[last] = draw(values)
    return found


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes that are cut, overwritten, repeated or sprinkled with others."""
    found = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(found) - 1)))
        how = draw(st.sampled_from(("cut", "overwrite", "insert", "remove", "repeat")))
        some = draw(
            st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from((b"\xff", b"\x00" * 8, b"\xef\xbb\xbf")))
        )
        if how == "cut":
            del found[at:]
        elif how == "overwrite":
            found[at : at + len(some)] = some
        elif how == "insert":
            found[at:at] = some
        elif how == "remove":
            del found[at : at + draw(st.integers(1, 64))]
        else:
            found[at:at] = found[at : at + 256] * draw(st.sampled_from((1, 20)))
    return bytes(found)


def json_bytes(document: Any) -> bytes:
    """JSON as Python writes it, `NaN` and lone surrogates included."""
    return json.dumps(document).encode("utf-8", "surrogatepass")


JSON_TRICKS = (
    b"[" * 100_000,
    b'{"a": ' * 100_000,
    b"9" * 5000,
    b"",
    b"null",
    b"[]",
    b'{"a": 1, "a": 2}',
    b"\xff\xfe{\x00}\x00",
    b'{"format_version": 1e999, "steps": NaN}',
)


def files_of(document: Any) -> st.SearchStrategy[bytes]:
    """A JSON file: its content wrong, or its bytes."""
    return st.one_of(mutated(document).map(json_bytes), damaged(json_bytes(document)), st.sampled_from(JSON_TRICKS))


@st.composite
def safetensors_files(draw: st.DrawFn, data: bytes) -> bytes:
    """A safetensors file whose header or whose bytes are wrong."""
    if draw(st.booleans()):
        return draw(damaged(data))
    length = struct.unpack("<Q", data[:8])[0]
    header = json_bytes(draw(mutated(json.loads(data[8 : 8 + length]))))
    said = draw(st.sampled_from((len(header), len(header) + 1, 2**63, 0)))
    return struct.pack("<Q", said) + header + data[8 + length :]


YAML_TRICKS = (
    b"steps: &a {b: *a}\n",
    b"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
    b"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
    b"g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nsteps: {s: {distill: {layers: *g}}}\nmodel: x\n",
    b"[" * 5000,
    b"{a: " * 3000,
    b"model: !!python/object/apply:os.system [true]\n",
    b"1: 2\n? [a, b]\n: c\n",
    b"model: \x00\n",
    b"model: \xff\xfe\n",
    b"%YAML 9.9\n---\nmodel: x\n",
    b"--- a\n--- b\n",
    b"model: " + b"9" * 5000 + b"\n",
    b"<<: 1\n",
    b"model: 2026-99-99\n",
    b"model: 0o9\nsteps: 12:30:45:99\n",
)


def yaml_files(document: Any) -> st.SearchStrategy[bytes]:
    """A YAML file: its content wrong, its bytes, or a known trick."""
    import yaml

    def dumped(one: Any) -> bytes:
        return yaml.safe_dump(one, allow_unicode=True, sort_keys=False).encode("utf-8", "surrogatepass")

    return st.one_of(mutated(document).map(dumped), damaged(dumped(document)), st.sampled_from(YAML_TRICKS))
