"""Students made of a teacher's layers, in every family."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compress.core.errors import CompressError
from compress.distillation.layer_importance import most_important_layers
from compress.models.families.families import family
from compress.models.layers import chosen_layers, evenly_spaced, keep_layers, layer_count
from compress.models.load import classifier
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


@pytest.mark.parametrize(
    ("choice", "first", "layers"),
    [
        ("even", False, (1, 3, 5)),
        ("even", True, (0, 2, 5)),
        ("first", False, (0, 1, 2)),
        ("first", True, (0, 1, 2)),
        ("last", False, (3, 4, 5)),
        ("last", True, (0, 4, 5)),
    ],
)
def test_layers_are_chosen_by_their_place(choice: str, first: bool, layers: tuple[int, ...]) -> None:
    assert chosen_layers(6, 3, choice, first=first) == layers


def test_an_unknown_choice_of_layers_is_refused_with_those_there_are() -> None:
    with pytest.raises(CompressError, match=r"'middle'.*even, first.*last"):
        chosen_layers(6, 3, "middle")
    with pytest.raises(CompressError, match="Keep 1 to 6"):
        chosen_layers(6, 7, "last")


SHARED = ["albert"]
DIFFERING = [name for name in FAMILIES if name not in SHARED]
BATCHES = [
    {
        "input_ids": torch.tensor([[2, 7, 9, 30, 3], [2, 21, 6, 3, 0]]),
        "attention_mask": torch.tensor([[1] * 5, [1] * 4 + [0]]),
    },
    {"input_ids": torch.tensor([[2, 12, 3], [2, 19, 3]]), "attention_mask": torch.ones(2, 3, dtype=torch.long)},
]


@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("name", DIFFERING)
def test_the_layer_that_goes_first_is_the_one_whose_student_differs_least(
    name: str, labels: int, tmp_path: Path
) -> None:
    teacher = classifier(write_model(tmp_path, name, labels=labels, initializer_range=0.2))
    first = family(teacher.config).first_layer_differs
    changes = {}
    for gone in range(1 if first else 0, 4):  # by students that are really built
        kept = tuple(layer for layer in range(4) if layer != gone)
        student = keep_layers(teacher, kept).eval()
        with torch.no_grad():
            theirs, ours = (torch.cat([model(**batch).logits for batch in BATCHES]) for model in (teacher, student))
        p, q = theirs.softmax(-1), ours.softmax(-1)
        changes[kept] = float(((theirs - ours) ** 2).mean() if labels == 1 else (p * (p / q).log()).sum(-1).mean())
    assert most_important_layers(teacher, 3, BATCHES) == min(changes, key=changes.__getitem__)
    assert max(changes.values()) > 1.05 * min(changes.values())


@pytest.mark.parametrize("name", DIFFERING)
def test_a_layer_that_does_nothing_is_not_kept(name: str, tmp_path: Path) -> None:
    teacher = classifier(write_model(tmp_path, name, initializer_range=0.2))
    idle = 2
    architecture = family(teacher.config)
    layer = teacher.get_submodule(architecture.layers)[idle]
    with torch.no_grad():
        for path in (architecture.attention_output, architecture.ffn_out):
            for parameter in layer.get_submodule(path).parameters():
                parameter.zero_()
        for (
            part
        ) in layer.modules():  # a norm of what is normed already changes nothing, with weights that change nothing
            if isinstance(part, torch.nn.LayerNorm):
                part.weight.fill_(1)
                if part.bias is not None:
                    part.bias.zero_()
        for part in teacher.get_submodule(architecture.layers)[idle - 1].modules():
            if isinstance(part, torch.nn.LayerNorm):
                part.weight.fill_(1)
                if part.bias is not None:
                    part.bias.zero_()
    assert most_important_layers(teacher, 3, BATCHES) == (0, 1, 3)


def test_the_first_layer_of_modernbert_is_never_dropped(tmp_path: Path) -> None:
    teacher = classifier(write_model(tmp_path, "modernbert", initializer_range=0.2))
    for part in (teacher.model.layers[0].attn.Wo, teacher.model.layers[0].mlp.Wo):
        part.weight.data.zero_()  # the one that would be missed least
    assert most_important_layers(teacher, 1, BATCHES) == (0,)
    assert most_important_layers(teacher, 3, BATCHES)[0] == 0


def test_albert_keeps_as_many_repetitions_as_asked_for(tmp_path: Path) -> None:
    teacher = classifier(write_model(tmp_path, "albert"))
    assert most_important_layers(teacher, 3, BATCHES) == (0, 1, 2)


def test_choosing_by_importance_leaves_the_teacher_and_its_mode_as_they_were(tmp_path: Path) -> None:
    teacher = classifier(write_model(tmp_path, "bert")).train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    layers = list(teacher.bert.encoder.layer)
    most_important_layers(teacher, 2, BATCHES)
    assert list(before) == list(teacher.state_dict())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert all(ours is theirs for ours, theirs in zip(teacher.bert.encoder.layer, layers, strict=True))
    assert all(part.training for part in teacher.modules())


def test_a_teacher_has_all_its_layers_again_after_a_pass_that_failed(tmp_path: Path) -> None:
    teacher = classifier(write_model(tmp_path, "bert")).train()

    def fail_when_short(*_: object) -> None:
        if len(teacher.bert.encoder.layer) < 4:
            raise MemoryError

    teacher.bert.register_forward_pre_hook(fail_when_short)
    with pytest.raises(MemoryError):
        most_important_layers(teacher, 2, BATCHES)
    assert len(teacher.bert.encoder.layer) == 4
    assert all(part.training for part in teacher.modules())


def test_choosing_by_importance_needs_rows_and_a_number_in_range(tmp_path: Path) -> None:
    teacher = classifier(write_model(tmp_path, "bert"))
    with pytest.raises(CompressError, match="calibration rows"):
        most_important_layers(teacher, 2, [])
    with pytest.raises(CompressError, match="Keep 1 to 4"):
        most_important_layers(teacher, 5, BATCHES)


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
