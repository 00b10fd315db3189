"""A benchmark suite: what is measured and how carefully, from a file in `benchmarks/` or of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from compress.core import shipped
from compress.core.cores import available_cores
from compress.core.errors import CompressError, guess, listing
from compress.core.settings import Settings, build, read_yaml
from compress.measure.batches import Condition
from compress.runtimes import choice
from compress.runtimes.runtime import Runtime


class TimedCondition(Settings):
    """One line of a suite's `conditions`."""

    batch: int = Field(ge=1, description="Examples at once.")
    length: Literal["real"] | int = Field(description="Tokens in each, or `real`.")
    calls: int = Field(ge=1, description="Timed calls in each round.")


class ForGeneration(Settings):
    """The settings of a suite that differ for generative models: one of their calls takes as long as dozens of a classifier's."""

    rounds: int | None = Field(None, ge=1, description="As the suite's.")
    options: tuple[str, ...] | None = Field(None, min_length=1, description="As the suite's.")
    conditions: tuple[TimedCondition, ...] | None = Field(None, min_length=1, description="As the suite's.")


class Suite(Settings):
    """What to measure and how carefully: a file in `benchmarks/`."""

    name: str = Field("", description="The file's name where it says none.")
    device: Literal["cpu", "cuda"] = Field("cpu", description="Where the models run.")
    threads: int | None = Field(None, ge=1, description="Threads of each worker; 2, or 1 on a single core, by default.")
    rounds: int = Field(10, ge=1, description="How often every artifact is visited under every condition.")
    repeats: int = Field(2, ge=0, le=2, description="How often a noisy round is measured again.")
    runtimes: tuple[str, ...] = Field(
        (), description="In which artifacts are measured; by default that of their format."
    )
    options: tuple[str, ...] = Field(("ours",), min_length=1, description="Session options of the runtimes, by name.")
    conditions: tuple[TimedCondition, ...] = Field(min_length=1, description="What is timed; memory at fixed lengths.")
    batch_size: int = Field(32, ge=1, description="Examples in a batch when the quality is measured.")
    max_length: int | None = Field(
        None, ge=4, description="Maximum number of tokens of a text; by default that of the training."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="For the examples timed at real lengths.")
    beams: int = Field(1, ge=1, description="Beams of the search; 1: greedily.")
    new_tokens: int = Field(32, ge=2, description="Generated after prompts of a fixed length.")
    prompt_tokens: int = Field(32, ge=1, description="Of a text, that a language model continues at `real` lengths.")
    context: int | None = Field(None, ge=2, description="Tokens a language model reads at once to score a text.")
    stride: int | None = Field(None, ge=1, description="Tokens from one such reading to the next; half the context.")
    slices: tuple[str, ...] | None = Field(
        None,
        description="Columns of the evaluation data by which results are also shown; by default all of 2 to 20 different values.",
    )
    generation: ForGeneration | None = Field(None, description="What differs for generative models.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.runtimes)) < len(self.runtimes):
            raise ValueError(f"the runtime {max(self.runtimes, key=self.runtimes.count)} is there twice")
        runtimes = [*choice.defaults(), *self.asked()]
        known = {name for one in runtimes for name in one.options}
        for suite in (self, self.for_generation()):
            for name in suite.options:
                if name not in known:
                    raise CompressError(
                        f"Unknown session options '{name}'.{guess(name, known)} Known: {listing(known)}."
                    )
            keys = [one.key for one in suite.timed()]
            if len(set(keys)) < len(keys):
                raise ValueError(f"the condition {max(keys, key=keys.count)} is there twice")
        return self

    def timed(self) -> tuple[Condition, ...]:
        """The conditions as the measuring code takes them."""
        return tuple(Condition(one.batch, one.length, one.calls) for one in self.conditions)

    def for_generation(self) -> Suite:
        """The same for generative models."""
        changes = {} if self.generation is None else dict(self.generation)
        return self.model_copy(update={name: value for name, value in changes.items() if value is not None})

    def asked(self) -> tuple[Runtime, ...]:
        """The runtimes that it names; a CompressError where one is unknown or not installed."""
        return tuple(choice.find(name) for name in self.runtimes)

    def to_json(self) -> dict[str, Any]:
        """Its settings; `runtimes` and `slices` where some are named: other measurements are known by the hash that they had."""
        unset = {*(() if self.runtimes else ("runtimes",)), *(() if self.slices is not None else ("slices",))}
        return self.model_dump(mode="json", exclude=unset)

    def with_defaults(self) -> Suite:
        """The same with the number of threads that this machine gives it."""
        return self.model_copy(update={"threads": self.threads or min(2, available_cores())})


def read_suite(name: str, runtimes: Sequence[str] = (), slices: Sequence[str] = ()) -> Suite:
    """The suite in a YAML file, or a shipped one by its name.

    Args:
        runtimes: the names of those in which is measured instead of the suite's; its own where there are none.
        slices: columns of the evaluation data, instead of the suite's; its own where there are none.

    Raises:
        CompressError: there is none, or a setting in it is unknown, missing or does not fit.
    """
    file = shipped.find("benchmarks", name)
    values, lines = read_yaml(file)
    asked = {key: list(some) for key, some in (("runtimes", runtimes), ("slices", slices)) if some}
    return build(Suite, {"name": file.stem, **values, **asked}, str(file), lines)
