"""Formats numbers for people: points, ratios, milliseconds, megabytes, with a true minus sign and a dash for nothing."""

from __future__ import annotations

import math
import os
import re
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from compress.core.progress import duration as duration
from compress.report.values import Value

if TYPE_CHECKING:
    from compress.report.significance import Difference

DASH = "–"
MINUS = "−"
SAME = 1.05
"""From here on a ratio is worth a comparative; below it reads as 1.0."""


def capitalized(text: str) -> str:
    """With its first letter in upper case; all others stay, as in `ROUGE`."""
    return text[:1].upper() + text[1:]


def points(share: float) -> str:
    """A share in points of 0 to 100: `88.30`."""
    return _signless(f"{share * 100:.2f}")


def signed_points(share: float) -> str:
    """A difference in points: `+0.57`, `−1.20`, `0.00`."""
    text = f"{share * 100:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", MINUS)


def times(ratio: float) -> str:
    """A ratio with two significant digits: `0.33×`, `1.3×`, `12×`."""
    return f"{_two(ratio)}×"


def size(ratio: float) -> tuple[str, str]:
    """How many times smaller, in two parts: `3.9×` and `smaller`; `0.97×` and `the size` where that is no comparative."""
    return (times(ratio), "smaller") if ratio >= SAME else (times(1 / ratio), "the size")


def seconds(value: float) -> str:
    """A latency with the unit that suits it and three digits: `2.81 ms`."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= size:
            return f"{_three(value / size)} {unit}"
    return f"{_three(value / 1e-9)} ns"


def megabytes(value: float) -> str:
    """Bytes in decimal megabytes: `22.9 MB`."""
    return f"{_three(value / 1e6).replace('-', MINUS)} MB"


def millions(value: float) -> str:
    """A count of parameters: `22.7 M`."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{_three(value / size)} {unit}"
    return f"{value:.0f}"


def percent(share: float, digits: int = 1) -> str:
    """A share in per cent: `60 %`, `52.4 %`; never 0 or 100 for what only comes near."""
    least = 10.0**-digits
    if 0 < share * 100 < least / 2 or 100 - least / 2 < share * 100 < 100:
        return (f"less than {least:g}" if share < 0.5 else f"more than {100 - least:g}") + "\u00a0%"
    return f"{share * 100:.{digits}f}".rstrip("0").removesuffix(".") + "\u00a0%"


def rate(value: float) -> str:
    """Examples a second: `1,780/s`."""
    return f"{value:,.0f}/s" if value >= 10 else f"{value:.2g}/s"


def level(share: float) -> str:
    """An interval's level: `95 %`, `99.2 %`."""
    return percent(share).replace("\u00a0", " ")


def tokens_rate(value: float) -> str:
    """Tokens a second: `1,780 tokens/s`."""
    return f"{value:,.0f} tokens/s" if value >= 10 else f"{value:.2g} tokens/s"


def kilobytes(value: float) -> str:
    """Bytes in decimal kilobytes: `12.3 kB`; what a token takes may also be nothing, or less than none by chance."""
    return f"{_three(value / 1e3).replace('-', MINUS)} kB"


def count(value: float) -> str:
    """A mean count: `23.4`."""
    return f"{value:,.1f}"


def p_value(value: float) -> str:
    """`p = 0.006`; the smallest are not spelt out."""
    if value < 0.001:
        return "p < 0.001"
    return f"p = {value:.3f}" if value < 0.995 else "p = 1"


def times_range(interval: tuple[float, float] | None) -> str:
    """An interval of a ratio: `4.7 to 5.2`, `0.98 to 1.04`; both have the lower end's decimals. Empty where there is none."""
    if not interval:
        return ""
    low, high = interval
    return f"{_two(low)} to {high:,.{len(_two(low).partition('.')[2])}f}"


def tested(difference: Difference) -> str:
    """The test behind a word: `McNemar exact, p = 0.006, 872 examples`."""
    parts = [difference.test]
    if difference.p_value is not None:
        parts.append(p_value(difference.p_value))
    parts.append(f"{difference.examples:,} examples")
    return ", ".join(part for part in parts if part)


def runtime(name: str) -> str:
    """A runtime's usual spelling."""
    return {"pytorch": "PyTorch", "onnx_runtime": "ONNX Runtime", "openvino": "OpenVINO"}.get(name, name)


def path(text: str) -> str:
    """An absolute path as seen from the working folder, or its last two names: reports travel, and machines' layouts need not.

    Any other text stays as it is.
    """
    if not re.fullmatch(r"/[^\s/]+(/[^\s/]+)+/?", text):
        return text
    given, here = PurePosixPath(text), Path.cwd()
    if given.is_relative_to(here.parent) and here.parent != Path("/"):
        return os.path.relpath(given, here)
    return "/".join(("…", *given.parts[-2:]))


def value_or_dash(one: Value, shown: Any) -> str:
    """The value as `shown` writes it, or a dash."""
    return DASH if one.value is None else str(shown(one.value))


def _two(value: float) -> str:
    if not value or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.1e}")
    return f"{rounded:,.{max(0, 1 - math.floor(math.log10(abs(rounded))))}f}"


def _three(value: float) -> str:
    magnitude = abs(value)
    return f"{value:.2f}" if magnitude < 9.995 else f"{value:.1f}" if magnitude < 99.95 else f"{value:,.0f}"


def _signless(text: str) -> str:
    return text.replace("-", MINUS) if float(text) else text.replace("-", "")


def moment(iso: str) -> str:
    """`28 Nov 2026, 15:25 UTC`; a text that is no ISO time stays as it is."""
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    when = when.astimezone(UTC) if when.tzinfo else when
    # The months' names are not left to the locale of whoever writes the report.
    month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][when.month - 1]
    return f"{when.day} {month} {when.year}, {when:%H:%M}{' UTC' if when.tzinfo else ''}"


def session_options(name: str) -> str:
    """Whose session options: `compress's`, `ONNX Runtime's own`."""
    return {"ours": "compress's", "default": "ONNX Runtime's own"}.get(name, name)
