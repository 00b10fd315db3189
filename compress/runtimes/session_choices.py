"""Named choices of ONNX Runtime's session options. Does not import ONNX Runtime, so that options can be checked without
it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from compress.core.errors import CompressError, guess


@dataclass(frozen=True)
class SessionChoice:
    """A named set of session options; plain values, so that a manifest can record what a speed was measured with."""

    name: str
    disabled_optimizers: tuple[str, ...] = ()
    optimization_level: str = "all"  # none, basic, extended or all
    config: dict[str, str] = field(default_factory=dict)  # ONNX Runtime's session configuration entries

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "disabled_optimizers": list(self.disabled_optimizers),
            "optimization_level": self.optimization_level,
            "config": dict(self.config),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SessionChoice:
        return cls(
            values["name"],
            tuple(values["disabled_optimizers"]),
            values["optimization_level"],
            dict(values["config"]),
        )


DEFAULT = SessionChoice("default")


# ONNX Runtime's SkipLayerNormalization kernel took 15 to 28 % of an int8 encoder's time on an AMD EPYC (1.32), more
# than the Add and LayerNormalization that it replaces, and it is fused in at load whatever the file holds.
OURS = SessionChoice("ours", disabled_optimizers=("SkipLayerNormFusion",))


CHOICES = {choice.name: choice for choice in (DEFAULT, OURS)}


def session_choice(name: str) -> SessionChoice:
    """The choice called `name`. Raises CompressError for an unknown one."""
    if name not in CHOICES:
        raise CompressError(
            f"Unknown session options '{name}'.{guess(name, CHOICES)} Known: {', '.join(sorted(CHOICES))}."
        )
    return CHOICES[name]
