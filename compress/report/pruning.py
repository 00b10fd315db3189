"""Summarizes a step of `prune`: in a few words, in a line, and as counts by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from compress.report import wording
from compress.report.values import is_number

SHAPES = {"structured", "kwon", "layers", "width", "vocabulary"}
"""Methods that remove whole parts; all others set single weights to zero."""
BUDGETS = {"macs": "MACs", "parameters": "parameters", "latency": "measured latency"}
METHODS = {
    "structured": "Structured pruning",
    "kwon": "Post-training pruning (Kwon et al. 2022)",
    "layers": "Layer dropping",
    "width": "Width pruning",
    "vocabulary": "Vocabulary pruning",
    "magnitude": "Magnitude pruning",
    "movement": "Movement pruning",
    "wanda": "Wanda",
    "sparsegpt": "SparseGPT",
}


SIZES = {"hidden_size": "width {}", "heads": "{} heads", "intermediate_size": "feed-forward {}"}
"""The sizes of the method `width`, in words."""


def is_of_single_weights(settings: Mapping[str, Any]) -> bool:
    """Whether the step leaves zeros in matrices that keep their shape."""
    method = settings.get("method")
    return isinstance(method, str) and method not in SHAPES


def words(settings: Mapping[str, Any]) -> str:
    """For a table's cell: `prune structured, keep 50 % of the MACs`, `prune magnitude, 60 % zeros`, `prune to 3 layers`."""
    method = str(settings.get("method", ""))
    if method == "layers":
        layers = settings.get("layers")
        if isinstance(layers, Sequence) and not isinstance(layers, str):
            return f"prune to layers {', '.join(str(layer) for layer in layers)}"
        return f"prune to {layers} layer{'' if str(layers) == '1' else 's'}"
    if method == "width":
        return (
            f"prune to {', '.join(said.format(settings[name]) for name, said in SIZES.items() if settings.get(name))}"
        )
    if method == "vocabulary":
        return "prune vocabulary"
    if not is_of_single_weights(settings):
        return f"prune {method}".rstrip() + _kept(settings)
    share = settings.get("sparsity")
    if settings.get("pattern"):
        return f"prune {method} {settings['pattern']}"
    if settings.get("penalty") is not None:
        return f"prune {method}, as many zeros as it learns"
    return f"prune {method}" + (f", {wording.percent(share)} zeros" if is_number(share) else "")


def _kept(settings: Mapping[str, Any]) -> str:
    if is_number(settings.get("milliseconds")):
        return f", to {settings['milliseconds']:g} ms"
    if not is_number(settings.get("keep")):
        return ""
    of = BUDGETS.get(str(settings.get("budget")))
    return f", keep {wording.percent(settings['keep'])}" + (f" of the {of}" if of else "")


def story(settings: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """What was removed, the requested and achieved budget, and the recovery; unknown facts are left out.

    Args:
        settings: of the step.
        facts: see `compress.pruning.apply` and `compress.techniques.prune`.
    """
    said = [
        part
        for part in (
            _removed(facts),
            _width(facts),
            _vocabulary(facts),
            _budget(facts),
            _layers(facts),
            _zeros(settings, facts),
        )
        if part
    ]
    method = METHODS.get(str(settings.get("method")))
    told = [f"{method}: {'; '.join(said)}." if method else f"{'; '.join(said)}."] if said else []
    return " ".join([*told, *_recovery(settings, facts)])


def _width(facts: Mapping[str, Any]) -> str:
    """`192 of 384 hidden dimensions kept`, or `hidden width 384 to 192, heads 12 to 6, feed-forward 1536 to 768`."""
    if isinstance(facts.get("widths"), str):
        return str(facts["widths"])
    kept, of = facts.get("hidden_kept"), facts.get("hidden_of")
    return f"{kept:,} of {of:,} hidden dimensions kept" if isinstance(kept, int) and isinstance(of, int) else ""


def _vocabulary(facts: Mapping[str, Any]) -> str:
    """`13,463 of 30,522 tokens kept, 0.7 % of the corpus's tokens split otherwise`."""
    found = facts.get("vocabulary")
    if not isinstance(found, Mapping) or not all(
        is_number(found.get(f"pieces_{when}")) for when in ("before", "after")
    ):
        return ""
    kept = f"{found['pieces_after']:,} of {found['pieces_before']:,} tokens kept"
    share = found.get("tokens_changed_share")
    return kept + (f", {wording.percent(share, 2)} of the corpus's tokens split otherwise" if is_number(share) else "")


def _removed(facts: Mapping[str, Any]) -> str:
    """`25 of 72 heads and 4,608 of 9,216 neurons removed`."""
    parts = []
    for kind in ("heads", "neurons"):
        gone, of = _lists(facts.get(f"{kind}_removed")), facts.get(f"{kind}_of")
        if gone is not None and isinstance(of, Sequence) and all(is_number(one) for one in of):
            parts.append(f"{sum(len(some) for some in gone):,} of {sum(of):,} {kind}")
    return f"{' and '.join(parts)} removed" if parts else ""


def _budget(facts: Mapping[str, Any]) -> str:
    """`49.98 % of the MACs kept, asked 50 %`; of another budget's than MACs, both."""
    parts, budget = [], facts.get("budget")
    unit = ""
    if isinstance(budget, Mapping) and is_number(budget.get("delivered")) and is_number(budget.get("asked")):
        unit = str(budget.get("unit", "")).lower()
        of = {"macs": "MACs", "ms": "measured milliseconds", "milliseconds": "measured milliseconds"}.get(unit, unit)
        parts.append(
            f"{wording.percent(budget['delivered'], 2)} of the {of} kept, asked {wording.percent(budget['asked'])}"
        )
    for name, of in (("macs_kept", "MACs"), ("parameters_kept", "parameters")):
        if is_number(facts.get(name)) and of.lower() != unit:
            parts.append(f"{wording.percent(facts[name])} of the layers' {of}")
    return ", ".join(parts)


def _layers(facts: Mapping[str, Any]) -> str:
    kept, of = facts.get("layers_kept"), facts.get("layers_of_teacher")
    if not isinstance(kept, Sequence) or isinstance(kept, str) or not is_number(of):
        return ""
    return f"{len(kept)} of {of} layers kept ({', '.join(str(layer) for layer in kept)}, counted from 0)"


def _zeros(settings: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """`60 % of 10,616,832 weights in 36 matrices are zero, asked 60 %`."""
    share = facts.get("share_of_zeros")
    if not is_number(share):
        return ""
    if not is_of_single_weights(settings):
        return f"{wording.percent(share)} of the remaining weights are zero, as the model brought them along"
    of = f"{facts['prunable_weights']:,} weights" if is_number(facts.get("prunable_weights")) else "the layers' weights"
    matrices = f" in {facts['prunable_matrices']} matrices" if is_number(facts.get("prunable_matrices")) else ""
    asked = f", asked {wording.percent(settings['sparsity'])}" if _asks_for_a_share(settings) else ""
    pattern = f", {settings['pattern']}" if settings.get("pattern") else ""
    return f"{wording.percent(share)} of {of}{matrices} are zero{asked}{pattern}"


def _asks_for_a_share(settings: Mapping[str, Any]) -> bool:
    return is_number(settings.get("sparsity")) and not settings.get("pattern") and settings.get("penalty") is None


def _recovery(settings: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    epochs = settings.get("epochs")
    if not is_number(epochs) or not epochs:
        return
    learns = settings.get("method") == "movement" or (
        settings.get("method") == "magnitude" and settings.get("gradual") and not settings.get("pattern")
    )
    how = "Pruned while it was trained for" if learns else "Recovered for"
    rank = settings.get("lora_rank")
    by = f" by LoRA adapters of rank {rank}, merged" if rank else ""
    under = "another model as teacher" if settings.get("teacher") else "the unpruned model as teacher"
    with_teacher = f", with {under}" if facts.get("teachers") else ", on the labels alone"
    yield f"{how} {epochs:g} epoch{'' if epochs == 1 else 's'}{by}{with_teacher}."


def brief(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts with counts by layer in place of the lists of what was removed: listed in the manifest."""
    shown = dict(facts)
    for name in ("heads_removed", "neurons_removed"):
        gone = _lists(facts.get(name))
        if gone is not None:
            counts = ", ".join(f"{len(some):,}" for some in gone)
            shown[name] = f"{counts} (by layer; listed in the manifest)"
    return shown


def _lists(value: Any) -> Sequence[Sequence[Any]] | None:
    """A list of lists, one for each layer; None for anything else."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return None
    return value if all(isinstance(one, Sequence) and not isinstance(one, str) for one in value) else None
