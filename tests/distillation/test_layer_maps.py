"""Maps between layers: the published ones, those written out, and what is wrong with a wrong one."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.core.errors import CompressError
from compress.distillation.layer_maps import layer_map, maps_by_side
from compress.models.layers import evenly_spaced


def test_the_uniform_map_of_4_layers_to_12_is_tinyberts() -> None:
    assert layer_map("uniform", 4, 12) == ((0, 2), (1, 5), (2, 8), (3, 11))


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [(1, 6, (5,)), (5, 12, (2, 4, 7, 9, 11)), (3, 3, (0, 1, 2)), (4, 2, (0, 0, 1, 1))],
)
def test_uniform_maps_by_hand(student: int, teacher: int, expected: tuple[int, ...]) -> None:
    assert layer_map("uniform", student, teacher) == tuple(enumerate(expected))


@given(st.integers(1, 24), st.integers(1, 24))
def test_a_uniform_map_covers_the_student_in_order_and_ends_at_the_last_layers(student: int, teacher: int) -> None:
    pairs = layer_map("uniform", student, teacher)
    steps = [b[1] - a[1] for a, b in itertools.pairwise(pairs)]
    assert [pair[0] for pair in pairs] == list(range(student))
    assert pairs[-1] == (student - 1, teacher - 1)
    assert pairs[0][1] >= 0
    assert not steps or (min(steps) >= 0 and max(steps) - min(steps) <= 1)


@given(st.integers(1, 24).flatmap(lambda total: st.tuples(st.integers(1, total), st.just(total))))
def test_a_student_cut_evenly_out_of_its_teacher_learns_from_the_layers_it_was_made_of(sizes: tuple[int, int]) -> None:
    kept, total = sizes
    assert tuple(pair[1] for pair in layer_map("uniform", kept, total)) == evenly_spaced(total, kept)


def test_the_last_map_pairs_the_last_layers() -> None:
    assert layer_map("last", 3, 12) == ((2, 11),)


def test_a_map_written_out_is_taken_as_it_is_in_order() -> None:
    assert layer_map("2:5, 0:1,0:2", 3, 6) == ((0, 1), (0, 2), (2, 5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unifrom", "has 'unifrom', which is not a pair of layers. Write 'uniform', 'last', or pairs"),
        ("0:1,1", "has '1', which is not a pair"),
        ("0:1,", "has '', which is not a pair"),
        ("-1:5", "has '-1:5', which is not a pair"),
        ("", "is not a pair"),
        ("3:5", "names layer 3 of the student, whose layers are 0 to 2"),
        ("0:1,2:6", "names layer 6 of the teacher, whose layers are 0 to 5"),
        ("0:1,0:1", "has the pair 0:1 twice"),
    ],
)
def test_a_map_that_cannot_be_is_refused_with_what_can(text: str, message: str) -> None:
    with pytest.raises(CompressError) as caught:
        layer_map(text, 3, 6)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


BOTH = {"encoder": 2, "decoder": 1}, {"encoder": 4, "decoder": 3}


def test_words_are_meant_for_each_side_and_pairs_name_theirs() -> None:
    assert maps_by_side("uniform", *BOTH) == {"encoder": ((0, 1), (1, 3)), "decoder": ((0, 2),)}
    assert maps_by_side("last", *BOTH) == {"encoder": ((1, 3),), "decoder": ((0, 2),)}
    assert maps_by_side("decoder.0:1, encoder.1:3,encoder.0:0", *BOTH) == {
        "encoder": ((0, 0), (1, 3)),
        "decoder": ((0, 1),),
    }
    assert maps_by_side("decoder.0:1", *BOTH) == {"decoder": ((0, 1),)}
    assert maps_by_side("encoder.uniform,decoder.0:1", *BOTH) == {"encoder": ((0, 1), (1, 3)), "decoder": ((0, 1),)}
    assert maps_by_side("0:1", {"": 2}, {"": 4}) == {"": ((0, 1),)}


@pytest.mark.parametrize(
    ("text", "layers", "message"),
    [
        ("0:1", BOTH, "has '0:1', which does not name the encoder or the decoder"),
        ("encoder.0:1,0:1", BOTH, "such as 'encoder.0:1,decoder.0:1'"),
        ("encoder.0:1,decoder.1:1", BOTH, "names layer 1 of the student, whose layers are 0 to 0"),
        ("encoder.uniform,encoder.0:1", BOTH, "has 'uniform', which is not a pair"),
        ("decoder.0:1", ({"": 2}, {"": 4}), "only encoder-decoders have two sides. Write pairs such as '0:1'"),
    ],
)
def test_pairs_of_no_side_and_sides_of_no_model_are_refused(text: str, layers: tuple[Any, Any], message: str) -> None:
    with pytest.raises(CompressError) as caught:
        maps_by_side(text, *layers)
    assert message in str(caught.value)
