"""Students made of a teacher's layers, in every family."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compress.architectures.families import family
from compress.distillation.student import evenly_spaced, keep_layers, layer_count
from compress.errors import CompressError
from compress.models import classifier
from tests.tiny import FAMILIES, write_model


@given(st.integers(1, 48).flatmap(lambda total: st.tuples(st.just(total), st.integers(1, total))), st.booleans())
def test_layers_are_evenly_spaced_and_the_last_is_always_kept(sizes: tuple[int, int], first: bool) -> None:
    total, kept = sizes
    layers = evenly_spaced(total, kept, first=first)
    gaps = [b - a for a, b in itertools.pairwise(layers)]
    assert len(layers) == kept
    assert layers[-1] == total - 1
    assert not gaps or (min(gaps) >= 1 and max(gaps) - min(gaps) <= 1)
    assert not (first and kept > 1) or layers[0] == 0


@pytest.mark.parametrize("kept", [0, 7])
def test_a_count_of_layers_beyond_the_teachers_is_refused(kept: int) -> None:
    with pytest.raises(CompressError, match="Keep 1 to 6"):
        evenly_spaced(6, kept)


@pytest.mark.parametrize("name", FAMILIES)
def test_keeping_all_layers_keeps_the_function(name: str, tmp_path: Path) -> None:
    teacher = classifier(write_model(tmp_path, name))
    student = keep_layers(teacher, range(4)).eval()
    ids = torch.randint(5, 30, (3, 12))
    torch.testing.assert_close(student(input_ids=ids).logits, teacher(input_ids=ids).logits)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "albert"])
def test_a_students_layers_are_copies_of_those_named(name: str, tmp_path: Path) -> None:
    teacher = classifier(write_model(tmp_path, name))
    path = family(teacher.config).layers
    student = keep_layers(teacher, (0, 3))
    ours, theirs = student.get_submodule(path), teacher.get_submodule(path)
    assert layer_count(student.config) == len(ours) == 2
    for new, old in enumerate((0, 3)):
        for parameter, value in ours[new].named_parameters():
            torch.testing.assert_close(value, theirs[old].get_parameter(parameter))
            assert value.data_ptr() != theirs[old].get_parameter(parameter).data_ptr()


def test_albert_repeats_its_shared_layer_less_often(tmp_path: Path) -> None:
    teacher = classifier(write_model(tmp_path, "albert"))
    student = keep_layers(teacher, (1, 3)).eval()
    shorter = classifier(tmp_path, num_hidden_layers=2)
    ids = torch.randint(5, 30, (3, 12))
    torch.testing.assert_close(student(input_ids=ids).logits, shorter(input_ids=ids).logits)


def test_modernbert_layers_keep_their_type_of_attention(tmp_path: Path) -> None:
    teacher = classifier(write_model(tmp_path, "modernbert"))
    student = keep_layers(teacher, (0, 1, 3))
    assert student.config.layer_types == [teacher.config.layer_types[i] for i in (0, 1, 3)]
    assert len(set(student.config.layer_types)) == 2


def test_the_teacher_is_left_as_it_was(tmp_path: Path) -> None:
    teacher = classifier(write_model(tmp_path, "bert"))
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    student = keep_layers(teacher, (1, 3))
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()
    assert layer_count(teacher.config) == 4
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


@pytest.mark.parametrize("layers", [(), (3, 1), (1, 1), (2, 4), (-1, 3)])
def test_layers_that_are_no_increasing_indices_are_refused(layers: tuple[int, ...], tmp_path: Path) -> None:
    teacher = classifier(write_model(tmp_path, "bert"))
    with pytest.raises(CompressError, match="increasing indices from 0 to 3"):
        keep_layers(teacher, layers)
