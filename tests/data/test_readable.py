"""A metric that cannot read a task's references is refused before anything is trained or measured."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.data import readable
from compress.data.loading import described_task, load, resolve
from compress.data.tokenized import identity
from tests.tabular import as_jsonl

CHINESE, THAI, ENGLISH = "这部电影很好看", "ภาพยนตร์เรื่องนี้ดีมาก", "the film is good"


def described(folder: Path, targets: list[str], **more: Any) -> dict[str, Any]:
    for split in ("train", "evaluation"):
        rows = [{"a": f"{split} {number}", "b": text} for number, text in enumerate(targets * 40)]
        as_jsonl(folder / f"{split}.jsonl", rows)
    kind = {"kind": "summarization", **more}
    return {"name": "mine", "data": str(folder), "source": "a", "target": "b", "holdout": 0.2, **kind}


def check(description: dict[str, Any], cache: Path) -> None:
    task, data = resolve(description)
    readable.check(task, load(task, data, "evaluation", cache).rows)


@pytest.mark.parametrize("text", [CHINESE, THAI, "फ़िल्म अच्छी है", "фильм хороший"])
def test_rouge_of_another_script_is_refused_with_what_to_set(tmp_path: Path, text: str) -> None:
    with pytest.raises(CompressError, match="'rouge_l' reads 0% of the letters.*Set `metric: chrf`"):
        identity(described_task(described(tmp_path, [text])))
    check(described(tmp_path, [text], metric="chrf"), tmp_path / "cache")


def test_bleu_of_a_script_without_spaces_needs_its_language(tmp_path: Path) -> None:
    pair = {"kind": "translation"}
    with pytest.raises(CompressError, match="'bleu' reads 0% .* or name both `languages`"):
        check(described(tmp_path, [CHINESE], **pair), tmp_path / "cache")
    check(described(tmp_path, [CHINESE], **pair, languages=["English", "Chinese"]), tmp_path / "cache")
    with pytest.raises(CompressError, match="'bleu' reads 0%"):
        check(described(tmp_path, [THAI], **pair, languages=["English", "Thai"]), tmp_path / "cache")


def test_a_part_that_cannot_be_read_is_said_and_european_accents_are_no_matter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        check(described(tmp_path, ["Der Flügel öffnet sich langsam.", ENGLISH, "42"]), tmp_path / "cache")
        assert not caplog.records
        check(described(tmp_path, [ENGLISH, ENGLISH, CHINESE]), tmp_path / "cache")
    assert "reads 80% of the letters" in caplog.text or "reads 79% of the letters" in caplog.text
