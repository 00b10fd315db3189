"""Maps between widths: there where needed, decided by the seed, and learnt."""

from __future__ import annotations

import torch

from compress.distillation.losses import hidden_mse
from compress.distillation.projections import projected, projections


def test_widths_that_differ_get_a_map_each_pair_without_a_bias() -> None:
    maps = projections(["0:1", "1:3", "embedding"], 32, 48, seed=0)
    assert list(maps) == ["0:1", "1:3", "embedding"]
    assert all(one.bias is None and one.weight.shape == (48, 32) for one in maps.values())
    hidden = torch.randn(2, 5, 32)
    torch.testing.assert_close(projected(maps, "1:3", hidden), hidden @ maps["1:3"].weight.T)


def test_equal_widths_get_none_and_stay_as_they_are() -> None:
    maps, hidden = projections(["0:1", "embedding"], 32, 32, seed=0), torch.randn(2, 5, 32)
    assert len(maps) == 0
    assert projected(maps, "0:1", hidden) is hidden


def test_the_seed_alone_decides_them_and_torchs_random_state_is_left_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = projections(["0:1", "1:3"], 32, 48, seed=7).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = projections(["0:1", "1:3"], 32, 48, seed=7).state_dict(), projections(["0:1"], 32, 48, seed=8)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["0:1.weight"], other["0:1"].weight)
    assert not torch.equal(first["0:1.weight"], first["1:3.weight"])


def test_they_keep_the_variance_at_the_start() -> None:
    maps = projections(["0:0"], 256, 512, seed=0)
    hidden = torch.randn(4, 50, 256, generator=torch.Generator().manual_seed(1))
    assert 0.9 < projected(maps, "0:0", hidden).var().item() < 1.1


def test_they_learn_what_a_narrower_student_can_say() -> None:
    generator = torch.Generator().manual_seed(0)
    student, truth = torch.randn(8, 6, 4, generator=generator), torch.randn(6, 4, generator=generator)
    teacher, mask = student @ truth.T, torch.ones(8, 6)
    maps = projections(["0:0"], 4, 6, seed=1)
    optimizer = torch.optim.LBFGS(maps.parameters(), max_iter=60)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        found = hidden_mse(projected(maps, "0:0", student), teacher, mask)
        found.backward()
        return found

    optimizer.step(loss)
    torch.testing.assert_close(maps["0:0"].weight, truth, atol=1e-2, rtol=1e-2)
