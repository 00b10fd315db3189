"""Finds the data shipped with the package: in the checkout's folder if there is one, else in the wheel's copy."""

from __future__ import annotations

from pathlib import Path

from compress.core.errors import CompressError, guess, listing
from compress.core.paths import named

PACKAGE = Path(__file__).parents[1]


def folder(name: str) -> Path:
    """The folder called `name` (`pipelines`, `calibration`, `benchmarks`, `reports/templates`).

    A checkout is known by its `pyproject.toml` beside the package, so that a user's own `pipelines/` in
    site-packages is never taken for ours.

    Raises:
        CompressError: neither holds such a folder.
    """
    checkout = PACKAGE.parent / name
    if (PACKAGE.parent / "pyproject.toml").is_file() and checkout.is_dir():
        return checkout
    shipped = PACKAGE / "_shipped" / name
    if shipped.is_dir():
        return shipped
    raise CompressError(f"This installation has no folder '{name}'. Install the package again.")


def find(kind: str, name: str) -> Path:
    """The YAML file for `name`: a path the user gave, else a shipped one of that name.

    Raises:
        CompressError: there is neither; names those shipped, and a guess.
    """
    given = named(name)
    if given.suffix in {".yaml", ".yml"}:
        if given.is_file():
            return given
        raise CompressError(f"{given} does not exist. Check the path, or name one of {kind}: {listing(names(kind))}.")
    shipped = folder(kind) / f"{name}.yaml"
    if Path(name).name == name and shipped.is_file():
        return shipped
    raise CompressError(
        f"No file called '{name}' in {kind}.{guess(name, names(kind))} There are: {listing(names(kind))}."
    )


def names(kind: str) -> list[str]:
    """The names of the YAML files that are shipped in a folder."""
    return sorted(file.stem for file in folder(kind).glob("*.yaml"))
