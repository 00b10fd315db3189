"""What a runtime is: it opens an artifact and returns a session that predicts, or generates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from compress.core.artifact import Artifact
from compress.core.errors import CompressError, guess

Feeds = Mapping[str, NDArray[np.int64]]
"""Model inputs by name (`input_ids`, `attention_mask`, ...), each [batch, length]."""
Outputs = Mapping[str, NDArray[np.float32]]
"""What a model gives, by the names of its outputs, each [batch, ...]: a classifier `logits`, [batch, labels]."""
LOGITS = "logits"
DEFAULT = "default"


@dataclass(frozen=True)
class Serving:
    """How an artifact is run: settings that change its speed but not its outputs."""

    threads: int = 1
    """Threads inside one operator, 1 or more."""
    device: str = "cpu"
    """`cpu` or `cuda`."""
    options: str = DEFAULT
    """A name among the runtime's own `options`."""


class Session(Protocol):
    """A loaded model."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs that the model declares."""

    def predict(self, feeds: Feeds) -> Outputs:
        """All outputs by name. Inputs that the model does not declare are left out.

        Raises:
            CompressError: an input that the model declares is missing.
        """


@dataclass(frozen=True)
class Runtime:
    """One runtime: what `compress/runtimes/<name>.py` defines as `RUNTIME`."""

    name: str
    formats: frozenset[str]
    """The artifact formats it opens."""
    packages: tuple[str, ...]
    """The packages of which one must be installed; its version decides results, and is recorded with them."""
    imports: tuple[str, ...]
    """What a process must import to serve with it: what it takes without a model is measured after these."""
    open: Callable[[Artifact, Serving], Session]
    """Raises a CompressError when the artifact's files cannot be opened here."""
    why_not: Callable[[Artifact, str], str | None]
    """(artifact, device) -> why it cannot sensibly run that artifact here, None when it can."""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {DEFAULT: {}})
    """Its choices of session options, by name, each with its values."""
    served_with: str = DEFAULT
    """The choice that is taken where none is asked for."""
    device_memory_bytes: Callable[[], Mapping[str, float]] | None = None
    """The device's peak so far, by who counted (`allocator`, `driver`); None for a runtime that cannot tell."""
    open_generator: Callable[[Artifact, Serving], Any] | None = None
    """Gives an object with transformers' `generate()`, `config`, `generation_config` and `device`, that is called as a model
    is (see `compress.runtimes.generating`); raises as `open` does. None for a runtime that generates nothing."""
    generator_imports: tuple[str, ...] = ()
    """What a process must import to generate with it, as `imports`."""
    extra: str | None = None
    """The extra of this project that installs its package; None where there is none."""

    def opened(self, artifact: Artifact, serving: Serving) -> Session:
        """The artifact's session.

        Raises:
            CompressError: it cannot be opened; any other error of the runtime is reported with its name and the artifact's.
        """
        with self._errors_reported(artifact):
            return self.open(artifact, serving)

    def opened_generator(self, artifact: Artifact, serving: Serving) -> Any:
        """The artifact's generator, see `open_generator`; raises as `opened`, and where the runtime generates nothing."""
        if self.open_generator is None:
            raise CompressError(
                f"{artifact.folder} generates text, which {self.name} does not support. Choose another runtime."
            )
        with self._errors_reported(artifact):
            return self.open_generator(artifact, serving)

    @contextmanager
    def _errors_reported(self, artifact: Artifact) -> Iterator[None]:
        try:
            yield
        except CompressError:
            raise
        except Exception as error:
            release = self.version()
            raise CompressError(
                f"{self.name}{f' ({release})' if release else ''} cannot open {artifact.folder}: {type(error).__name__}: "
                f"{error}. Ask for another runtime with --runtime, or make the artifact again; --debug shows where it failed."
            ) from error

    @property
    def how_to_install(self) -> str:
        """The command that installs its package."""
        return f"pip install 'compress-transformers[{self.extra}]'" if self.extra else f"pip install {self.packages[0]}"

    def version(self) -> str | None:
        """The installed version of its package; None where none of them is installed."""
        for name in self.packages:
            try:
                return metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        return None

    def check_options(self, name: str) -> None:
        """Raises a CompressError where it has no session options of that name."""
        if name not in self.options:
            raise CompressError(
                f"Unknown session options '{name}' of {self.name}.{guess(name, self.options)} "
                f"Known: {', '.join(sorted(self.options))}."
            )


def logits_of(outputs: Outputs) -> NDArray[np.float32]:
    """The output that a classifier is judged by: `logits`, or the first where a graph calls its own otherwise."""
    return outputs[LOGITS] if LOGITS in outputs else next(iter(outputs.values()))


def as_measured(artifact: Artifact) -> Artifact:
    """The artifact as it is measured and served: in fp32 if it was only stored in 16 bits and no step chose
    that precision."""
    chosen = any(step.technique == "quantize" for step in artifact.steps)
    if artifact.format != "torch" or chosen or artifact.precision not in ("bf16", "fp16"):
        return artifact
    return replace(artifact, precision="fp32")


def declared(feeds: Mapping[str, Any], inputs: tuple[str, ...], what: str) -> dict[str, Any]:
    """The feeds that a model declares, in its order.

    A missing `token_type_ids` is filled with zeros, as every model of the library does when it is called without.

    Raises:
        CompressError: another input is missing.
    """
    missing = [name for name in inputs if name not in feeds and name != "token_type_ids"]
    if missing:
        raise CompressError(
            f"{what} needs the input '{missing[0]}', but its tokenizer gives {', '.join(feeds)}. "
            "Copy the tokenizer of its training into its folder."
        )
    return {name: feeds[name] if name in feeds else np.zeros_like(feeds["input_ids"]) for name in inputs}
