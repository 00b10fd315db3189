"""A setting that can change during training: a number, or a range from one number to another."""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import AfterValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

NUMBER = r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?"
TEXT = re.compile(rf"({NUMBER})(?:\s*\.\.\s*({NUMBER})(?:\s+(linear|cosine))?)?")
HOW = "write a number, 'START..END' (8..2), or 'START..END cosine'"


@dataclass(frozen=True)
class Schedule:
    """A value over training: from `start` to `end`, along a straight line or half a wave of a cosine.

    As the type of a setting it takes a number or a text (`8..2`, `8..2 cosine`) and is written as one: a value that never
    changes as a plain number, so that it is recorded as it was before it could be a schedule. Bounds are said with
    `Annotated[Schedule, bounded(gt=0)]`, a default with `Schedule.of(4.0)`.
    """

    start: float
    end: float
    shape: Literal["linear", "cosine"] = "linear"
    written_as: ClassVar[Any] = float | str
    """What a Python caller gives for it."""

    @classmethod
    def of(cls, given: float | str | Schedule) -> Schedule:
        """The schedule that a user wrote.

        Raises:
            ValueError: it is no finite number and no such text.

        >>> Schedule.of("8..2").at(0.5)
        5.0
        >>> Schedule.of(4) == Schedule.of("4.0")
        True
        """
        if isinstance(given, Schedule):
            return given
        if isinstance(given, bool) or not isinstance(given, int | float | str):
            raise ValueError(HOW)
        match = TEXT.fullmatch(str(given).strip())
        if match is None:
            raise ValueError(HOW)
        start = float(match[1])
        end = start if match[2] is None else float(match[2])
        if not (math.isfinite(start) and math.isfinite(end)):
            raise ValueError("its numbers must be finite")
        return cls(start, end) if match[3] != "cosine" or start == end else cls(start, end, "cosine")

    def at(self, progress: float) -> float:
        """The value at a share of the training, from 0 (before the first step) to 1 (at its end); exact at both."""
        if self.start == self.end:
            return self.start
        share = min(max(progress, 0.0), 1.0)
        if self.shape == "cosine":
            share = (1 - math.cos(math.pi * share)) / 2
        return (1 - share) * self.start + share * self.end

    @property
    def lowest(self) -> float:
        """Its least value."""
        return min(self.start, self.end)

    @property
    def highest(self) -> float:
        """Its greatest value: 0 if a weight is never used."""
        return max(self.start, self.end)

    def plain(self) -> float | str:
        """A number if it is constant, else its text, which `of` parses."""
        return self.start if self.start == self.end else str(self)

    def __str__(self) -> str:
        if self.start == self.end:
            return str(self.start)
        start, end = (str(one).removesuffix(".0") for one in (self.start, self.end))
        return f"{start}..{end}" if self.shape == "linear" else f"{start}..{end} {self.shape}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.of, serialization=core_schema.plain_serializer_function_ser_schema(cls.plain)
        )


def bounded(
    *, gt: float | None = None, ge: float | None = None, lt: float | None = None, le: float | None = None
) -> AfterValidator:
    """A check that a schedule stays within bounds from its start to its end, named as in pydantic's `Field`."""
    bounds = (
        (gt, "greater than", operator.gt),
        (ge, "at least", operator.ge),
        (lt, "less than", operator.lt),
        (le, "at most", operator.le),
    )

    def check(schedule: Schedule) -> Schedule:
        for limit, words, holds in bounds:
            wrong = [one for one in (schedule.start, schedule.end) if limit is not None and not holds(one, limit)]
            if wrong:
                subject = "" if schedule.start == schedule.end else f"its {wrong[0]:g} "
                raise ValueError(f"{subject}must be {words} {limit:g}")
        return schedule

    return AfterValidator(check)
