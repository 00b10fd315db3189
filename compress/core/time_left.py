"""The time that a run still takes: estimated beforehand, and corrected by what its finished parts took."""

from __future__ import annotations

from collections.abc import Mapping

DOUBT = 0.1
"""How much of the estimate finished parts must weigh before they count as much as it does: a step of seconds says little of an
hour's training."""


class TimeLeft:
    """What the parts of a run that are not finished will take.

    Each part is estimated in seconds before the run, and all of what is left is multiplied by how much longer the finished
    parts took than they were estimated to take.

    Args:
        estimated: seconds by part; None where a part's time is not known, and then nothing is reported before that part is over.
    """

    def __init__(self, estimated: Mapping[str, float | None]) -> None:
        self._waiting = dict(estimated)
        known = sum(one for one in estimated.values() if one is not None)
        self._estimated = self._taken = DOUBT * known

    def over(self, part: str, seconds: float | None) -> None:
        """A part is finished; None: it was made before, or partly, so that its time says nothing about the others."""
        estimated = self._waiting.pop(part, None)
        if estimated and seconds is not None:
            self._estimated += estimated
            self._taken += seconds

    def seconds(self) -> float | None:
        """What is left; None where it is not known."""
        left = [one for one in self._waiting.values() if one is not None]
        if len(left) < len(self._waiting) or not self._estimated:
            return None
        return sum(left) * self._taken / self._estimated

    def in_words(self) -> str:
        """`, about 3 min left`; nothing where it is not known."""
        seconds = self.seconds()
        return f", {about(seconds)} left" if seconds else ""


def about(seconds: float) -> str:
    """A time that is estimated: rounded to five seconds, a minute, or a tenth of an hour.

    >>> [about(seconds) for seconds in (2, 43, 170, 9000)]
    ['about 5 s', 'about 45 s', 'about 3 min', 'about 2.5 h']
    """
    if seconds < 57.5:
        return f"about {max(5, 5 * round(seconds / 5))} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"
