"""What is asked, as data: choices on held-out rows, arms of three seeds each, and the contrasts between them.

`arms.py` and `generative_arms.py` fill it. Minutes are those of one processor, estimated from earlier runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contestants import SEEDS, TUNING_SEED
from jobs import Job

Settings = Mapping[str, Any]
Chosen = Callable[[str], Settings]
"""A choice's name -> the settings that it took; raises `Undecided`."""
Make = Callable[[str, int, Settings, Chosen], Job]
"""(name of the job, seed, settings, choices) -> the job. A trial has a candidate's settings, an arm those that were chosen."""


class Undecided(Exception):  # noqa: N818 - a state of the run, not a mistake
    """A choice that is needed has trials that are not finished."""


@dataclass(frozen=True)
class Choice:
    """Settings that are tried once each, with one seed. The best on rows that decide nothing else is taken for all arms."""

    name: str
    asks: str
    candidates: Mapping[str, Settings]
    """By a label; of equals the first one is taken, so the simplest stands first."""
    job: Make
    minutes: float
    """Of one candidate."""
    split: str = "holdout"
    """The rows that choose."""

    def trials(self, chosen: Chosen) -> dict[str, Job]:
        """The trials by their labels."""
        return {
            label: self.job(f"{self.name}-{label}", TUNING_SEED, one, chosen) for label, one in self.candidates.items()
        }


@dataclass(frozen=True)
class Arm:
    """One way to make a model, with each seed once."""

    name: str
    summary: str
    job: Make
    minutes: float
    """Of one seed."""
    choice: str = ""
    """The choice whose settings it has; without one the usual settings."""
    splits: tuple[str, ...] = ("holdout", "evaluation", "test")
    """Read once for each model. Nothing is chosen on `evaluation` and `test` of SST-2, nor on `test` of SAMSum."""
    judged_on: tuple[str, ...] = ("evaluation", "test")
    """The splits whose rows are pooled for the contrasts."""
    seeds: tuple[int, ...] = SEEDS

    def of_seed(self, seed: int, chosen: Chosen) -> Job:
        """The job of one seed."""
        return self.job(f"{self.name}-seed-{seed}", seed, chosen(self.choice) if self.choice else {}, chosen)


@dataclass(frozen=True)
class Contrast:
    """Two arms, seed by seed on the same rows."""

    situation: str
    arm: str
    against: str


@dataclass(frozen=True)
class Entry:
    """Something to run next: one choice, or some arms, seed by seed so that a stopped run leaves pairs."""

    question: str
    """Its letter and what is asked."""
    choice: Choice | None = None
    arms: tuple[Arm, ...] = ()

    @property
    def minutes(self) -> float:
        """The estimated cost."""
        if self.choice:
            return self.choice.minutes * len(self.choice.candidates)
        return sum(one.minutes * len(one.seeds) for one in self.arms)

    def jobs(self, chosen: Chosen) -> Iterator[tuple[Job, tuple[str, ...]]]:
        """The jobs in their order, with the splits on which each is read.

        Raises:
            Undecided: a choice before it is not decided.
        """
        if self.choice:
            yield from ((job, (self.choice.split,)) for job in self.choice.trials(chosen).values())
        for seed in sorted({seed for arm in self.arms for seed in arm.seeds}):
            yield from ((arm.of_seed(seed, chosen), arm.splits) for arm in self.arms if seed in arm.seeds)


def arms_of(queue: Iterable[Entry]) -> dict[str, Arm]:
    """All arms by name."""
    return {arm.name: arm for entry in queue for arm in entry.arms}


def choices_of(queue: Iterable[Entry]) -> dict[str, Choice]:
    """All choices by name."""
    return {entry.choice.name: entry.choice for entry in queue if entry.choice}


def best(choice: Choice, results: Mapping[str, Mapping[str, Any]]) -> str:
    """The label of the candidate with the best value on the choice's rows.

    Args:
        results: each candidate's reading of those rows, by its label.
    """
    higher = next(iter(results.values()))["higher_is_better"]
    return max(choice.candidates, key=lambda label: results[label]["value"] * (1 if higher else -1))
