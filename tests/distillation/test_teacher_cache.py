"""The teacher's answers on disk: its own, in the rows' order, for just these rows and this teacher."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.core.errors import CompressError
from compress.data.collate import collate
from compress.data.loading import described_task
from compress.distillation import teacher_cache as teacher
from compress.distillation.counted_rows import CountedRows
from compress.distillation.features import FeatureSpec, capture
from compress.distillation.teacher import Teacher
from compress.distillation.teacher_cache import Outputs, outputs
from compress.models import load as models
from compress.models.load import classifier, resolve_model, tokenizer
from compress.training.data import TrainingData, data_for
from tests.disk import files_no_larger_than
from tests.tiny import write_model, write_task

NOTHING = FeatureSpec()
WANTED = FeatureSpec(hidden=(1, 3), attention=(2,), relations=(3,), embedding=True)


@pytest.fixture
def data(make_model: Callable[..., Path], task: dict[str, Any]) -> TrainingData:
    folder = make_model("bert", "teacher")
    return data_for(described_task(task), tokenizer(folder), classifier(folder).config, 64)


@pytest.fixture
def ask(data: TrainingData, tmp_path: Path) -> Callable[..., Outputs]:
    def ask(wanted: FeatureSpec = NOTHING, rows: Any = None, where: str = "teacher") -> Outputs:
        return outputs(
            Teacher(resolve_model(str(tmp_path / where))),
            CountedRows(data.train if rows is None else rows),
            tokenizer(tmp_path / where),
            features=wanted,
            precision="fp32",
            identity={"train": "these"},
            cache=tmp_path / "cache",
        )

    return ask


def test_features_come_back_as_the_batch_that_the_student_sees(
    ask: Callable[..., Outputs], data: TrainingData, tmp_path: Path
) -> None:
    kept = ask(WANTED)
    model, its_tokenizer = classifier(tmp_path / "teacher"), tokenizer(tmp_path / "teacher")
    places = [17, 3, 90, 41]
    features = [{**data.train[place], "place": place} for place in places]
    batch = collate(features, its_tokenizer, dict(kept.extras))
    with capture(model, WANTED) as found, torch.no_grad():
        model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    real = batch["attention_mask"].bool()
    assert real.sum(1).unique().numel() > 1  # rows of several lengths
    assert set(kept.extras) == set(WANTED.names())
    for name in WANTED.names():
        torch.testing.assert_close(batch[name][real].float(), found[name][real], rtol=2**-10, atol=1e-4)
        assert not batch[name][~real].any()


def test_what_is_asked_for_later_is_added_and_the_rest_is_kept(
    ask: Callable[..., Outputs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask()
    before = np.array(first.logits)
    assert first.seconds_saved == 0
    second = ask(WANTED)
    assert second.seconds_saved == 0  # the teacher ran again, for the features
    assert np.array_equal(before, second.logits)
    monkeypatch.setattr(models, "load", lambda *_: pytest.fail("the teacher was asked again"))
    assert ask(FeatureSpec(hidden=(3,))).seconds_saved > 0
    assert len(list((tmp_path / "cache" / "teacher").iterdir())) == 1


def test_other_rows_or_another_teacher_are_asked_again(
    ask: Callable[..., Outputs], data: TrainingData, tmp_path: Path
) -> None:
    ask()
    folders = tmp_path / "cache" / "teacher"
    swapped = data.train.select([1, 0, *range(2, len(data.train))])
    assert not np.array_equal(ask(rows=swapped).logits[:2], ask().logits[:2])
    assert len(list(folders.iterdir())) == 2
    write_model(tmp_path / "other", "bert", seed=8)
    assert not np.allclose(ask(where="other").logits, ask().logits)
    assert len(list(folders.iterdir())) == 3


def test_answers_that_were_cut_short_are_asked_for_again(
    ask: Callable[..., Outputs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def dies(value: Any, name: str) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise RuntimeError("killed")
        return narrowed(value, name)

    narrowed = teacher.narrowed
    with monkeypatch.context() as patch:
        patch.setattr(teacher, "narrowed", dies)
        with pytest.raises(RuntimeError, match="killed"):
            ask()
    assert ask().logits.any(axis=1).all()


def test_states_beyond_sixteen_bits_are_refused_with_the_way_out(
    ask: Callable[..., Outputs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = classifier(tmp_path / "teacher")
    with torch.no_grad():
        model.bert.encoder.layer[3].output.LayerNorm.bias.fill_(1e5)
    monkeypatch.setattr(models, "load", lambda *_: model)
    with pytest.raises(CompressError, match=r"hidden.3 reaches 100\d\d\d.*--teacher-cache-gb 0"):
        ask(FeatureSpec(hidden=(3,)))


@pytest.mark.parametrize("family", ["albert", "modernbert", "deberta-v2"])
def test_every_kind_of_family_is_asked(family: str, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "teacher", family)
    data = data_for(
        described_task(write_task(tmp_path / "data", rows=40)), tokenizer(folder), classifier(folder).config, 64
    )
    found = outputs(
        Teacher(resolve_model(str(folder))),
        CountedRows(data.train),
        tokenizer(folder),
        features=WANTED,
        precision="fp32",
        identity={},
        cache=tmp_path / "cache",
    )
    row = data.train[5]
    model = classifier(folder)
    with capture(model, WANTED) as features, torch.no_grad():
        logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0]
    np.testing.assert_allclose(found.logits[5], logits, rtol=2e-3, atol=1e-3)
    for name in WANTED.names():
        kept = found.extras[name]
        mine = kept.values[kept.starts[5] : kept.starts[6]]
        np.testing.assert_allclose(mine, features[name][0], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", ["logits/values.npy", "hidden.3/values.npy", "logits/entry.json"])
def test_answers_that_were_damaged_are_asked_for_again(
    ask: Callable[..., Outputs], name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = FeatureSpec(hidden=(3,))
    before = ask(wanted)
    logits, hidden = np.array(before.logits), np.array(before.extras["hidden.3"].values)
    (file,) = (tmp_path / "cache" / "teacher").glob(f"*/{name}")
    file.write_bytes(file.read_bytes()[:-8] + bytes(8) if file.suffix == ".npy" else b"{")
    again = ask(wanted)
    assert again.seconds_saved == 0
    assert "is damaged, so it is made again" in caplog.text
    np.testing.assert_array_equal(again.logits, logits)
    np.testing.assert_array_equal(again.extras["hidden.3"].values, hidden)


def test_two_who_ask_at_once_get_the_same_answers_and_the_teacher_runs_once(
    ask: Callable[..., Outputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    load = models.load
    monkeypatch.setattr(models, "load", lambda one: calls.append(1) or load(one))
    found: list[Outputs] = []
    threads = [threading.Thread(target=lambda: found.append(ask(WANTED))) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(calls) == 1
    np.testing.assert_array_equal(found[0].logits, found[1].logits)
    assert found[0].logits.any(axis=1).all()


def test_a_full_disk_is_reported_before_a_value_is_written(ask: Callable[..., Outputs], tmp_path: Path) -> None:
    with files_no_larger_than(3000), pytest.raises(CompressError, match=r"cannot be written .*Free some space"):
        ask(WANTED)
    assert not list((tmp_path / "cache").rglob("*.npy"))
    assert ask(WANTED).logits.any(axis=1).all()
