"""Perplexity counts each token once, weighs all alike, and is torch's; token accuracy counts what the teacher would say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compress.metrics.metric import Undefined, find
from compress.metrics.perplexity import log_likelihoods, perplexity, window_labels, windows

PERPLEXITY = find("perplexity")


@st.composite
def cuts(draw: st.DrawFn) -> tuple[int, int, int]:
    context = draw(st.integers(2, 12))
    return draw(st.integers(0, 60)), context, draw(st.integers(1, context - 1))


@given(cuts())
def test_each_token_but_the_first_is_counted_once_with_the_context_that_is_promised(cut: tuple[int, int, int]) -> None:
    length, context, stride = cut
    counted = []
    for window in windows(length, context, stride):
        assert 0 <= window.start < window.counted_from < window.end <= length
        assert window.end - window.start <= context
        assert window.start % stride == 0
        for token in range(window.counted_from, window.end):
            assert token - window.start >= min(token, context - stride)
            counted.append(token)
    assert counted == list(range(1, length))


def test_windows_are_those_of_the_common_recipe() -> None:
    """The strided loop of transformers' page on perplexity, whose loss leaves out the first token of its first window."""
    length, context, stride = 101, 16, 5
    theirs, previous = [], 0
    for begin in range(0, length, stride):
        end = min(begin + context, length)
        theirs.append((begin, end, max(previous, 1)))
        previous = end
        if end == length:
            break
    assert [(one.start, one.end, one.counted_from) for one in windows(length, context, stride)] == theirs


@pytest.mark.parametrize("stride", [0, 8, 9])
def test_a_stride_that_would_leave_tokens_uncounted_is_refused(stride: int) -> None:
    with pytest.raises(ValueError, match="must be 1 to 7"):
        list(windows(20, 8, stride))


def test_perplexity_of_a_model_over_windows_is_torchs_cross_entropy_over_all_tokens() -> None:
    """A model that looks at one token only has the same opinion in any window, so the cut must not matter to it."""
    vocabulary, length = 11, 57
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(vocabulary, vocabulary, generator=generator)
    ids = torch.randint(vocabulary, (length,), generator=generator)
    expected = math.exp(torch.nn.functional.cross_entropy(table[ids[:-1]].double(), ids[1:]).item())
    for context, stride in ((57, 1), (16, 15), (16, 4), (2, 1)):
        parts = [window_labels(ids.numpy(), window) for window in windows(length, context, stride)]
        own = [log_likelihoods(table[torch.from_numpy(some)].numpy(), labels) for some, labels in parts]
        labels = [labels for _, labels in parts]
        assert PERPLEXITY.score(own, labels) == pytest.approx(expected, rel=1e-9)
        assert PERPLEXITY.statistics(own, labels)[:, 1].sum() == length - 1


def test_a_uniform_model_is_as_perplexed_as_it_has_tokens() -> None:
    labels = np.array([-100, 3, 1, 2])
    assert PERPLEXITY.score([log_likelihoods(np.zeros((4, 7), np.float32), labels)], [labels]) == pytest.approx(7.0)


def test_tokens_weigh_alike_whatever_text_they_stand_in() -> None:
    sure, unsure = np.log([0.5] * 30), np.log([0.1] * 2)
    labels = [np.zeros(30, int), np.zeros(2, int)]
    assert PERPLEXITY.score([sure, unsure], labels) == pytest.approx(
        math.exp((30 * math.log(2) + 2 * math.log(10)) / 32)
    )


def test_what_is_not_counted_may_be_anything() -> None:
    labels = np.array([-100, -100, 1])
    assert PERPLEXITY.score([[math.nan, -math.inf, math.log(0.25)]], [labels]) == pytest.approx(4.0)


def test_large_logits_do_not_overflow() -> None:
    found = log_likelihoods(np.array([[1e4, 0.0], [0, 0]], np.float32), np.array([-100, 1]))
    assert found.tolist() == [0.0, -1e4]
    assert PERPLEXITY.score([found], [[-100, 1]]) == math.inf


def test_a_score_that_does_not_exist_is_not_made_up() -> None:
    with pytest.raises(Undefined, match="None of 1 examples"):
        PERPLEXITY.score([[-1.0]], [[-100]])
    with pytest.raises(ValueError, match="Example 1: 1 log-probabilities are not numbers"):
        PERPLEXITY.score([[-1.0], [math.nan]], [[1], [1]])
    with pytest.raises(ValueError, match="Example 0"):
        PERPLEXITY.score([[-1.0, -2.0]], [[1]])
    with pytest.raises(ValueError, match="cannot be predicted"):
        log_likelihoods(np.zeros((2, 3), np.float32), np.array([1, 2]))


def test_context_and_stride_are_stated() -> None:
    assert perplexity(512, 256).signature() == "weighted:tokens|context:512|stride:256"
    assert not PERPLEXITY.higher_is_better


def test_token_accuracy_counts_tokens_and_leaves_out_what_is_masked() -> None:
    accuracy = find("token_accuracy")
    predicted = [[5, 6, 7, 8], [1, 1]]
    teacher = [[-100, 6, 7, 9], [1, -100]]
    assert accuracy.statistics(predicted, teacher).tolist() == [[2.0, 3.0], [1.0, 1.0]]
    assert accuracy.score(predicted, teacher) == 3 / 4
    with pytest.raises(ValueError, match="Example 1"):
        accuracy.score([[1], [1, 2]], [[1], [1]])
    with pytest.raises(Undefined):
        accuracy.score([[1]], [[-100]])
