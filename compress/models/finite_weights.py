"""Finds NaN and infinite values in weight files, read in blocks without torch."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from compress.core.errors import CompressError

BLOCK_BYTES = 4 << 20
EXPONENTS: dict[str, tuple[Any, int]] = {
    "F8_E4M3": (np.uint8, 0x7F),  # it has no infinity, and one NaN alone (Micikevicius et al. 2022, table 1)
    "F8_E5M2": (np.uint8, 0x7C),
    "F16": (np.uint16, 0x7C00),
    "BF16": (np.uint16, 0x7F80),
    "F32": (np.uint32, 0x7F800000),
    "F64": (np.uint64, 0x7FF0000000000000),
}
"""Unsigned integers of a type's width, and the bits that are all set in NaN and infinity alone (IEEE 754)."""
MASKS = re.compile(r"mask|(attn|attention)\.bias$")
"""Tensors that are no weights: minus infinity in a mask hides a token."""


def check_finite(files: Sequence[Path]) -> None:
    """Refuse NaN and infinite weights.

    Args:
        files: safetensors files; others are passed over. Each is read once in a process, as long as it stays the same.

    Raises:
        CompressError: a tensor holds NaN or infinity; names it and counts the values.
    """
    for file in files:
        if file.suffix != ".safetensors":
            continue
        stat = file.stat()
        spoilt = _damaged(str(file), stat.st_mtime_ns, stat.st_size)
        if spoilt:
            name, count, of = spoilt[0]
            more = f", and so are values of {len(spoilt) - 1} more tensors" if len(spoilt) > 1 else ""
            raise CompressError(
                f"The weights in {file} are damaged: of the {of:,} values of {name} {count:,} {'is' if count == 1 else 'are'} "
                f"NaN or infinite{more}. "
                "Its training probably diverged: start from an earlier checkpoint, or train again at a lower learning rate."
            )


@lru_cache(maxsize=64)
def _damaged(file: str, changed_ns: int, size: int) -> list[tuple[str, int, int]]:
    """Tensors with values that are not finite: name, how many of them, how many values in all."""
    found = []
    with Path(file).open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > size:
            return []  # cut short: the library that opens it says so
        try:
            header: dict[str, Any] = json.loads(stream.read(length))
            tensors = [
                (name, told["dtype"], int(start), int(end))
                for name, told in header.items()
                if name != "__metadata__" and told["dtype"] in EXPONENTS and not MASKS.search(name)
                for start, end in [told["data_offsets"]]
            ]
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
            return []  # no header of safetensors: the library that opens it says so
        for name, kind, start, end in sorted(tensors, key=lambda one: one[2]):
            if 0 <= start <= end and 8 + length + end <= size:
                stream.seek(8 + length + start)
                count = _not_finite(stream, end - start, kind)
                if count:
                    found.append((name, count, (end - start) // np.dtype(EXPONENTS[kind][0]).itemsize))
    return found


def _not_finite(stream: BinaryIO, size: int, kind: str) -> int:
    integers, exponent = EXPONENTS[kind]
    count = 0
    for start in range(0, size, BLOCK_BYTES):
        block = stream.read(min(BLOCK_BYTES, size - start))
        block = block[: len(block) // np.dtype(integers).itemsize * np.dtype(integers).itemsize]
        if kind == "F32":  # three times as fast as to look at the bits
            values = np.frombuffer(block, "<f4")
            count += len(values) - int(np.count_nonzero(np.isfinite(values)))
        else:
            count += int(np.count_nonzero((np.frombuffer(block, integers) & integers(exponent)) == exponent))
    return count
