"""What `docs/adding.md` says of a model family works as it stands there."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import compress.models.families
from compress.models.families.families import architectures
from compress.models.layers import keep_layers
from compress.models.load import classifier
from compress.pruning.removal import remove
from compress.pruning.units import Kept, units
from tests import families
from tests.models.families import test_families as promises
from tests.tiny import write_model

PAGE = (Path(__file__).parents[3] / "docs" / "adding.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## ... a model family", 1)[1].split("\n## ", 1)[0]
FILE, LINE = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
TABLE = (Path(__file__).parents[3] / "docs" / "families.md").read_text(encoding="utf-8")
KINDS = {"encoder": "encoder", "encoder-decoder": "seq2seq", "decoder": "decoder"}


def test_the_registry_and_the_page_of_families_name_every_family_that_has_a_file() -> None:
    described = {name: one.kind for name, one in families.FAMILIES.items() if "no file" not in one.traits}
    rows = [row.split("|") for row in TABLE.splitlines() if row.startswith("| ") and "`" in row.split("|")[2]][1:]
    assert {name: KINDS[row[3].strip()] for row in rows for name in re.findall(r"`([^`]+)`", row[2])} == described
    assert described.keys() == architectures().keys()


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The family of the page, whose file lies beside the others and whose line stands in the registry."""
    (tmp_path / "ernie.py").write_text(FILE, encoding="utf-8")
    monkeypatch.setattr(compress.models.families, "__path__", [*compress.models.families.__path__, str(tmp_path)])
    monkeypatch.setitem(families.FAMILIES, "ernie", eval(f"{{{LINE.strip()}}}", vars(families))["ernie"])
    architectures.cache_clear()
    yield "ernie"
    architectures.cache_clear()


def test_the_family_of_the_page_keeps_what_every_family_promises(added: str, tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path / "model", added))
    checks = [
        one
        for _, one in inspect.getmembers(promises, inspect.isfunction)
        if [*inspect.signature(one).parameters] == ["model"]
    ]
    assert len(checks) > 5
    for check in checks:
        check(model)


def test_the_family_of_the_page_loses_layers_heads_and_neurons(added: str, tmp_path: Path) -> None:
    model = keep_layers(classifier(write_model(tmp_path / "model", added)), (1, 3))
    present = units(model)
    smaller = remove(model, Kept(((0, 2), (1,)), tuple(tuple(range(50)) for _ in present.neurons)))
    smaller.save_pretrained(tmp_path / "smaller")
    ids = torch.tensor([[2, 6, 9, 12, 3]])
    with torch.no_grad():
        torch.testing.assert_close(classifier(tmp_path / "smaller")(ids).logits, smaller.eval()(ids).logits)
