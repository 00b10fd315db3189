"""Judges a comparison: who is the fastest peer that is still right often enough, and how do we stand to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compress.metrics import timings as timing_statistics

LEAST = 0.97
"""The interval of our speed over the fastest peer's must lie above it: rounds read to about 3 %."""
LEAST_ROUNDS = 10
"""Fewer rounds are not judged: of six to eight the interval reaches from the least ratio to the greatest."""
COLUMNS = {"1xreal": "b1 real", "1x128": "1 x 128", "32x64": "32 x 64"}
PHASES = ("loaded", "1x128", "32x64")


def judge(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One standing for each choice of options, each of our models and each column.

    `ratio` is our speed over that of the fastest qualifying peer (the one with the greatest speed to the baseline among
    those with enough right answers), quiet round by quiet round, with its 95 % interval; `against` holds the same against
    every qualifying peer. `holds`: the interval lies above `LEAST`, from at least `LEAST_ROUNDS` rounds, and we are right
    often enough ourselves.
    """
    found = []
    for choice, taken in results["options"].items():
        measured = taken["measured"]
        for name in (n for n, facts in results["contestants"].items() if facts["role"] == "ours"):
            for column in COLUMNS:
                found.append(
                    {"options": choice, "ours": name, "column": column} | _standing(results, measured, name, column)
                )
    return found


def _standing(results: Mapping[str, Any], measured: Mapping[str, Any], name: str, column: str) -> dict[str, Any]:
    mine = _timed(measured, name, column)
    if mine is None:
        return {"holds": False, "reason": "our model was not timed"}
    rivals = {}
    for peer, facts in results["contestants"].items():
        its = _timed(measured, peer, column)
        if facts["role"] == "peer" and its is not None and measured[peer]["right"] >= results["needed"]:
            ratio, interval = timing_statistics.ratio(_quiet_rounds(its), _quiet_rounds(mine))
            rivals[peer] = {"speed": its["speed"], "ratio": ratio, "interval": list(interval) if interval else None}
    if not rivals:
        return {"holds": False, "reason": "no peer is right often enough"}
    fastest = max(rivals, key=lambda peer: float(rivals[peer]["speed"]))
    is_right = measured[name]["right"] >= results["needed"]
    is_read = len(_quiet_rounds(mine)) >= LEAST_ROUNDS
    return {
        "holds": is_right and is_read and bool(rivals[fastest]["interval"]) and rivals[fastest]["interval"][0] > LEAST,
        "fastest": fastest,
        "ratio": rivals[fastest]["ratio"],
        "interval": rivals[fastest]["interval"],
        "against": rivals,
    }


def _timed(measured: Mapping[str, Any], name: str, column: str) -> Mapping[str, Any] | None:
    timed: Mapping[str, Any] = measured.get(name, {}).get("latency", {}).get(column, {})
    return timed if "speed" in timed else None


def _quiet_rounds(timed: Mapping[str, Any]) -> list[list[float]]:
    """The seconds of the rounds that no other process disturbed; results of before that was noted have all."""
    disturbed = timed.get("disturbed", ())
    return [one for number, one in enumerate(timed["rounds_seconds"]) if number not in disturbed]


def markdown(results: Mapping[str, Any]) -> str:
    """The whole comparison as a page: how it was run, one table for each choice of options, our standing."""
    machine = results["machine"]
    packages = machine["packages"]
    lines = [
        "# Peers",
        "",
        f"`{results['command']}` on {results['created'][:10]}",
        "",
        f"{machine['cpu']}, {results['threads']} threads of {machine['cores']} cores, "
        f"{', '.join(machine['features'])}; ONNX Runtime {packages['onnxruntime']}. SST-2 dev, "
        f"{results['sentences']} sentences. Speed: median over {results['rounds']} interleaved rounds of the ratio to "
        f"`{results['baseline']}` in the same round (95 % interval over rounds). Memory: peak of a fresh "
        "serving process after load / 1 x 128 / 32 x 64. Won and lost: right where fp32 is wrong, and the reverse. "
        "Raw values: `peers.json`.",
    ]
    for choice, taken in results["options"].items():
        disabled = ", ".join(taken["session"]["disabled_optimizers"])
        what = f"without {disabled}" if disabled else "as ONNX Runtime has them"
        lines += ["", f"## Every contestant on `{choice}` session options ({what})", ""]
        lines += _table(results, taken["measured"], choice)
        lines += [f"- {note}" for note in _notes(taken["measured"])]
    return "\n".join(lines) + "\n"


def _table(results: Mapping[str, Any], measured: Mapping[str, Any], choice: str) -> Iterator[str]:
    yield f"| model | MB | right | agrees | won/lost | {' | '.join(COLUMNS.values())} | memory MB |"
    yield "|---|" + "---|" * (len(COLUMNS) + 5)
    for name, facts in results["contestants"].items():
        read = measured[name]
        label = f"**{name}**" if facts["role"] == "ours" else name
        if "error" in read:
            yield f"| {label} | failed: {' '.join(read['error'].split())[:160]} |" + " |" * (len(COLUMNS) + 4)
            continue
        memory = "/".join(f"{read['peak_bytes'][phase] / 1e6:.0f}" for phase in PHASES)
        speeds = " | ".join(_speed(read["latency"][column]) for column in COLUMNS)
        quality = f"{read['right']} | {read['agrees_with_fp32']} | {read['won']}/{read['lost']}"
        yield f"| {label} | {facts['bytes'] / 1e6:.1f} | {quality} | {speeds} | {memory} |"
    yield ""
    for standing in (s for s in results["standings"] if s["options"] == choice):
        yield f"- {_sentence(standing, results['needed'])}"


def _speed(latency: Mapping[str, Any]) -> str:
    if "error" in latency:
        return "failed"
    low, high = latency["interval"]
    return f"{latency['speed']:.2f} ({low:.2f}-{high:.2f})"


def _sentence(standing: Mapping[str, Any], needed: int) -> str:
    place = f"{standing['ours']}, {COLUMNS[standing['column']]}"
    if "fastest" not in standing:
        return f"{place}: not judged, {standing['reason']}."
    low, high = standing["interval"]
    verdict = "holds" if standing["holds"] else "does not hold"
    return (
        f"{place}: {standing['ratio']:.2f} ({low:.2f}-{high:.2f}) times the speed of {standing['fastest']}, the fastest "
        f"peer with at least {needed} right; {verdict}."
    )


def _notes(measured: Mapping[str, Any]) -> list[str]:
    """What disturbed the rounds: the same for all contestants in a column, so it is told once."""
    told = {
        f"{COLUMNS[column]}: {note}"
        for read in measured.values()
        for column, latency in read.get("latency", {}).items()
        for note in latency.get("notes", ())
    }
    return sorted(told)
