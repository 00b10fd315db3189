"""Batches: every row once an epoch, rows of like length together, the same for the same seed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compress.batching import epoch_order


@given(st.lists(st.integers(3, 60), min_size=1, max_size=300), st.integers(1, 16), st.integers(0, 3))
def test_an_epoch_visits_every_row_once_in_an_order_of_its_own(lengths: list[int], batch: int, epoch: int) -> None:
    order = epoch_order(np.array(lengths), batch, seed=1, epoch=epoch)
    assert sorted(order) == list(range(len(lengths)))
    assert (order == epoch_order(np.array(lengths), batch, seed=1, epoch=epoch)).all()


def test_batches_hold_rows_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(3, 120, 3200)
    order = epoch_order(lengths, 32, seed=0, epoch=0)
    spread = [np.ptp(lengths[order[start : start + 32]]) for start in range(0, 3200, 32)]
    assert max(spread) < 10
    assert not (order == epoch_order(lengths, 32, seed=0, epoch=1)).all()
