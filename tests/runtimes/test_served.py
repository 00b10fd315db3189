"""A served model answers as `predict` does, however the texts are given, and puts those of like length into one batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.runtimes.predict import predictions
from compress.runtimes.served import ServedModel
from tests.artifacts import tiny_onnx, tiny_torch

__all__ = ["tiny_onnx", "tiny_torch"]

TEXTS = [
    "a good film but the plot was not very good",
    "an awful book",
    "fine",
    "the sound of this phone is poor but it works",
]


@pytest.fixture(scope="module", params=["torch", "onnx"])
def served(request: pytest.FixtureRequest, tiny_torch: Artifact, tiny_onnx: Artifact) -> ServedModel:
    """The tiny classifier, open in either runtime."""
    return ServedModel(tiny_torch if request.param == "torch" else tiny_onnx)


def test_it_answers_as_predict_does_in_the_order_of_the_texts(served: ServedModel) -> None:
    alone = [next(predictions(served.artifact, [text])) for text in TEXTS]
    together = served(TEXTS)
    assert [one["label"] for one in together] == [one["label"] for one in alone]
    for one, other in zip(together, alone, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)
    assert served(TEXTS[0])["label"] == alone[0]["label"]
    assert served([]) == []


def test_texts_of_like_length_share_a_batch(served: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def answers(texts: Iterable[Any]) -> Iterator[dict[str, Any]]:
        seen.extend(texts)
        yield from ({"output": text} for text in seen)

    monkeypatch.setattr(served._predictor, "answers", answers)
    texts = ["x" * length for length in (5, 90, 1, 40, 7)]
    assert [one["output"] for one in served(texts)] == texts
    assert [len(text) for text in seen] == [1, 5, 7, 40, 90]


@pytest.mark.parametrize("wrong", [3, None, ("a", 2), ("a", "b", "c"), {"text": "a"}])
def test_what_is_no_text_is_refused_in_words(wrong: Any, served: ServedModel) -> None:
    with pytest.raises(CompressError, match="neither a text nor a pair of texts"):
        served(["fine", wrong])


def test_a_text_without_words_is_refused(served: ServedModel) -> None:
    with pytest.raises(CompressError, match="One of the texts is empty"):
        served("  ")


def test_counts_of_cut_texts_start_again_at_each_call(served: ServedModel, caplog: pytest.LogCaptureFixture) -> None:
    served("good " * 200)
    assert "1 of 1 texts are longer" in caplog.text
    caplog.clear()
    served("good")
    assert not caplog.text


def test_a_runtime_is_chosen_by_name(tiny_torch: Artifact) -> None:
    with pytest.raises(CompressError, match="onnx"):
        ServedModel(tiny_torch, runtime="onnx_runtime")


def test_pairs_are_tuples(tiny_torch: Artifact) -> None:
    task = {"name": "pairs", "text": ["one", "two"], "label": "l", "labels": ["negative", "positive"], "data": "."}
    model = ServedModel(Artifact(tiny_torch.folder, tiny_torch.origin, task))
    one, other = model([("a good film", "it works"), ["fine", "poor"]])
    assert model(("a good film", "it works"))["probabilities"] == pytest.approx(one["probabilities"], abs=1e-5)
    assert other != one
    with pytest.raises(CompressError, match="reads two texts"):
        model("a good film")


def test_it_runs_on_as_many_threads_as_asked_for(tiny_onnx: Artifact) -> None:
    session = ServedModel(tiny_onnx, threads=2)._predictor.session.session  # type: ignore[attr-defined]  # of ONNX Runtime's session
    assert session.get_session_options().intra_op_num_threads == 2
    for wrong in (0, True, 1.5):
        with pytest.raises(CompressError, match="whole number of threads"):
            ServedModel(tiny_onnx, threads=wrong)  # type: ignore[arg-type]  # what must be refused
