"""How many rounds of a benchmark must be quiet for a ratio of speeds.

Foreign load slows the models of a round differently: with one of two processors taken, fp32 took 2.75 times as long and int8 1.2
times, so that a true ratio of 2.4 was measured as 5.9.
"""

from __future__ import annotations

LEAST = 6
"""The smallest and the greatest of six rounds are the 96.9 % interval of the median; of five they are that of 93.8 %."""


def refusal(disturbed: int, rounds: int) -> str | None:
    """Why there is no ratio; None where enough rounds were quiet.

    Args:
        disturbed: how many rounds other processes disturbed.
        rounds: of how many, 1 or more. Where fewer than `LEAST` were asked for, none of them may be disturbed.
    """
    if rounds - disturbed >= min(LEAST, rounds):
        return None
    return f"other processes used the processors in {disturbed} of {rounds} rounds; measure again on a quiet machine"
