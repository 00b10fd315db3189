"""Narrower students, in every family: what is kept, that it is what counts, and that others can load it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.errors import CompressError
from compress.models import narrowing
from compress.models.families.families import family
from compress.models.load import classifier
from compress.models.narrowing import narrow
from compress.models.unit_importance import Importance, hidden_norms, importances
from compress.models.widths import Widths, widths
from tests.families import embeddings_of
from tests.tiny import FAMILIES, write_model

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in FAMILIES},
    "deberta-v2 with keys of its own": ("deberta-v2", {"share_att_key": False, "conv_kernel_size": 3}),
    "electra of one width": ("electra", {"embedding_size": 64}),
}
GONE = torch.tensor([1, 5, 6, 11, 17, 18, 23, 30, 33, 37, 42, 44, 50, 55, 60, 63])  # 16 of the 64 hidden dimensions
LEFT = torch.tensor([index for index in range(64) if index not in GONE.tolist()])


@pytest.fixture(params=VARIANTS)
def teacher(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    name, changes = VARIANTS[request.param]
    return classifier(write_model(tmp_path, name, **{"initializer_range": 0.1, **changes}))


@pytest.fixture
def bert(tmp_path: Path) -> Any:
    return classifier(write_model(tmp_path, "bert", initializer_range=0.1))


def rows(count: int = 24, seed: int = 0) -> list[dict[str, torch.Tensor]]:
    chance = torch.Generator().manual_seed(seed)
    batches = []
    for length in (6, 9, 12):
        ids = torch.randint(5, 40, (count // 3, length), generator=chance)
        mask = torch.ones_like(ids)
        mask[0, 4:] = 0
        batches.append({"input_ids": ids * mask, "attention_mask": mask})
    return batches


BATCHES, UNSEEN = rows(), rows(seed=1)


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    return torch.cat([model(**batch).logits for batch in UNSEEN])


def distance(student: Any, teacher: Any) -> float:
    return float((logits(student) - logits(teacher)).abs().mean())


def layers(model: Any) -> list[Any]:
    return list(model.get_submodule(family(model.config).layers))


@torch.no_grad()
def silence_hidden_(model: Any, gone: torch.Tensor) -> None:
    """Make everything that is written to some hidden dimensions near nothing."""
    architecture = family(model.config)
    parts = [embeddings_of(model), *hidden_norms(model).values()]
    for layer in layers(model):
        parts += [layer.get_submodule(architecture.attention_output), layer.get_submodule(architecture.ffn_out)]
    for parameter in {id(one): one for part in parts for one in part.parameters()}.values():
        by_row = isinstance(parameter, torch.Tensor) and parameter.shape[0] == 64
        parameter[gone if by_row else (..., gone)] *= 1e-4
    for name, parameter in model.named_parameters():
        if name.endswith("rel_embeddings.weight"):
            parameter[:, gone] *= 1e-4


@torch.no_grad()
def silence_heads_(model: Any, gone: list[int]) -> None:
    for layer in layers(model):
        weight = layer.get_submodule(family(model.config).attention_output).weight
        for head in gone:
            weight[:, head * 16 : head * 16 + 16] *= 1e-4


@torch.no_grad()
def silence_pooled_(model: Any, gone: torch.Tensor) -> None:
    model.get_submodule(family(model.config).classifier).weight[:, gone] *= 1e-4


@torch.no_grad()
def silence_neurons_(model: Any, gone: torch.Tensor) -> None:
    for layer in layers(model):
        layer.get_submodule(family(model.config).ffn_out).weight[:, gone] *= 1e-5


def at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    def shuffled(model: Any, batches: Any) -> Importance:
        found = importances(model, batches)

        def mixed(some: list[torch.Tensor]) -> list[torch.Tensor]:
            return [torch.rand_like(one) for one in some]

        return Importance(
            hidden=torch.rand_like(found.hidden),
            heads=mixed(found.heads),
            neurons=mixed(found.neurons),
            neuron_means=found.neuron_means,
            pooled=torch.rand_like(found.pooled),
            pooled_means=found.pooled_means,
            query_key=mixed(found.query_key),
            value=mixed(found.value),
        )

    torch.manual_seed(0)
    monkeypatch.setattr(narrowing, "importances", shuffled)


def test_all_widths_as_they_were_keep_the_function_exactly(teacher: Any) -> None:
    student = narrow(teacher, BATCHES, hidden_size=64, intermediate_size=128, heads=4)
    assert torch.equal(logits(student), logits(teacher))
    assert not {p.data_ptr() for p in student.parameters()} & {p.data_ptr() for p in teacher.parameters()}


def test_a_narrow_student_is_a_plain_checkpoint_that_gives_the_same_logits(teacher: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    student = narrow(teacher, BATCHES, hidden_size=48, intermediate_size=80)
    student.save_pretrained(tmp_path / "student")
    loaded, told = AutoModelForSequenceClassification.from_pretrained(tmp_path / "student", output_loading_info=True)
    assert type(loaded) is type(teacher)
    assert not any(told.values())
    assert widths(loaded.config) == Widths(hidden=48, heads=3, neurons=80)
    assert all(layer.get_submodule(family(loaded.config).query).in_features == 48 for layer in layers(loaded))
    assert torch.equal(logits(loaded.eval()), logits(student))


def test_narrowing_leaves_the_teacher_as_it_was(teacher: Any) -> None:
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    config = teacher.config.to_dict()
    student = narrow(teacher.train(), BATCHES, hidden_size=48, intermediate_size=80)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()
    assert teacher.training
    assert teacher.config.to_dict() == config
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_the_neurons_that_go_are_those_that_add_nothing(teacher: Any) -> None:
    silence_neurons_(teacher, torch.arange(3, 128, 4))
    student = narrow(teacher, BATCHES, intermediate_size=96)
    kept = torch.tensor([neuron for neuron in range(128) if neuron % 4 != 3])
    architecture = family(teacher.config)
    for ours, theirs in zip(layers(student), layers(teacher), strict=True):
        out, whole = ours.get_submodule(architecture.ffn_out), theirs.get_submodule(architecture.ffn_out)
        assert torch.equal(out.weight, whole.weight[:, kept])
        read, whole = ours.get_submodule(architecture.ffn_in), theirs.get_submodule(architecture.ffn_in)
        assert torch.equal(read.weight, whole.weight[torch.cat([kept, kept + 128]) if architecture.gated_ffn else kept])
    assert distance(student, teacher) < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "modernbert"])  # its layers have no biases
def test_neurons_that_are_constant_go_without_a_trace(name: str, tmp_path: Path) -> None:
    teacher = classifier(write_model(tmp_path, name, initializer_range=0.1))
    gone = torch.arange(3, 128, 4)
    for layer in layers(teacher):
        read = layer.get_submodule(family(teacher.config).ffn_in)
        read.weight[gone] = 0
        read.bias[gone] = 2
    student = narrow(teacher, BATCHES, intermediate_size=96)
    torch.testing.assert_close(logits(student), logits(teacher), rtol=1e-4, atol=1e-5)


def test_the_dimensions_and_heads_that_go_are_those_that_add_nothing(
    teacher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    silence_hidden_(teacher, GONE)
    silence_heads_(teacher, [2])
    silence_pooled_(teacher, torch.arange(0, 64, 4))
    student = narrow(teacher, BATCHES, hidden_size=48)
    heads = torch.cat([torch.arange(32), torch.arange(48, 64)])
    architecture = family(teacher.config)
    for ours, theirs in zip(layers(student), layers(teacher), strict=True):
        path = architecture.attention_output
        assert torch.equal(ours.get_submodule(path).weight, theirs.get_submodule(path).weight[LEFT][:, heads])
        query, whole = ours.get_submodule(architecture.query).weight, theirs.get_submodule(architecture.query).weight
        assert torch.equal(query[:48], whole[heads][:, LEFT])
        value, whole = ours.get_submodule(architecture.value).weight, theirs.get_submodule(architecture.value).weight
        assert torch.equal(value[-48:], whole[-64:][heads][:, LEFT])
    near = distance(student, teacher)
    at_random(monkeypatch)
    far = distance(narrow(teacher, BATCHES, hidden_size=48), teacher)
    assert near < far / 4


@torch.no_grad()
def test_smaller_heads_keep_the_dimensions_that_count_and_the_scale_of_their_scores(
    teacher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture = family(teacher.config)
    if architecture.rotary:
        pytest.skip("its heads are kept whole")
    silence_hidden_(teacher, GONE)
    silence_pooled_(teacher, torch.arange(0, 64, 4))
    places = torch.arange(64).view(4, 16)
    for layer in layers(teacher):
        parts = [layer.get_submodule(path) for path in (architecture.query, architecture.key)]
        if not getattr(teacher.config, "share_att_key", True):
            parts += [layer.get_submodule(path) for path in (architecture.position_query, architecture.position_key)]
        for part in parts:
            for parameter in part.parameters():
                parameter[places[:, 2:6].flatten()] *= 1e-4
        layer.get_submodule(architecture.attention_output).weight[:, places[:, :4].flatten()] *= 1e-4
    student = narrow(teacher, BATCHES, hidden_size=48, heads=4)
    assert widths(student.config) == Widths(hidden=48, heads=4, neurons=128)
    kept = torch.cat([places[:, :2], places[:, 6:]], dim=1).flatten()
    for ours, theirs in zip(layers(student), layers(teacher), strict=True):
        query, whole = ours.get_submodule(architecture.query).weight, theirs.get_submodule(architecture.query).weight
        torch.testing.assert_close(query, whole[kept][:, LEFT] * (12 / 16) ** 0.5)
        key, whole = ours.get_submodule(architecture.key).weight, theirs.get_submodule(architecture.key).weight
        assert torch.equal(key, whole[kept][:, LEFT])
        value, whole = ours.get_submodule(architecture.value).weight, theirs.get_submodule(architecture.value).weight
        assert torch.equal(value, whole[places[:, 4:].flatten()][:, LEFT])
    near = distance(student, teacher)
    at_random(monkeypatch)
    assert near < distance(narrow(teacher, BATCHES, hidden_size=48, heads=4), teacher) / 4


@torch.no_grad()
def test_a_narrower_norm_is_the_least_squares_fit_to_the_whole_one(bert: Any) -> None:
    norm = bert.bert.embeddings.LayerNorm
    norm.weight.fill_(1)
    norm.bias.zero_()
    read = []
    hook = norm.register_forward_pre_hook(lambda _part, inputs: read.append(inputs[0]))
    for batch in BATCHES:
        bert(**batch)
    hook.remove()
    tokens = torch.cat([some[batch["attention_mask"].bool()] for some, batch in zip(read, BATCHES, strict=True)])
    student = narrow(bert, BATCHES, hidden_size=32)
    words, ours = bert.bert.embeddings.word_embeddings.weight, student.bert.embeddings.word_embeddings.weight
    kept = torch.tensor([int((words == column[:, None]).all(dim=0).nonzero()) for column in ours.T])
    whole = torch.nn.functional.layer_norm(tokens, (64,), eps=1e-12)[:, kept].flatten()
    some = torch.nn.functional.layer_norm(tokens[:, kept], (32,), eps=1e-12).flatten()
    fit = torch.linalg.lstsq(torch.stack([some, torch.ones_like(some)], dim=1), whole).solution
    torch.testing.assert_close(student.bert.embeddings.LayerNorm.weight, fit[0].expand(32), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(student.bert.embeddings.LayerNorm.bias, fit[1].expand(32), rtol=1e-4, atol=1e-5)


def test_mpnet_keeps_the_same_heads_in_all_layers_since_they_share_their_bias(tmp_path: Path) -> None:
    teacher = classifier(write_model(tmp_path, "mpnet", initializer_range=0.1))
    table = teacher.mpnet.encoder.relative_attention_bias.weight
    student = narrow(teacher, BATCHES, heads=2)
    ours = student.mpnet.encoder.relative_attention_bias.weight
    heads = [int((table == column[:, None]).all(dim=0).nonzero()) for column in ours.T]
    rows = torch.cat([torch.arange(head * 16, head * 16 + 16) for head in heads])
    for small, whole in zip(layers(student), layers(teacher), strict=True):
        torch.testing.assert_close(small.attention.attn.v.bias, whole.attention.attn.v.bias[rows])


def test_a_student_has_the_precision_of_its_teacher(bert: Any) -> None:
    student = narrow(bert.to(torch.bfloat16), BATCHES, hidden_size=48, heads=4, intermediate_size=100)
    assert {parameter.dtype for parameter in student.parameters()} == {torch.bfloat16}
    assert bool(logits(student).isfinite().all())


def test_embeddings_of_their_own_width_keep_it_and_others_follow(tmp_path: Path) -> None:
    for width, narrowed in ((32, 32), (64, 48)):
        teacher = classifier(write_model(tmp_path / str(width), "electra", embedding_size=width))
        assert narrow(teacher, BATCHES, hidden_size=48).config.embedding_size == narrowed
    with pytest.raises(CompressError, match="hidden width of 32 is that of the embeddings"):
        narrow(classifier(tmp_path / "32"), BATCHES, hidden_size=32)


def test_parts_that_nothing_here_describes_are_refused_rather_than_cut_anyhow(tmp_path: Path) -> None:
    teacher = classifier(write_model(tmp_path, "albert", inner_group_num=2))
    with pytest.raises(CompressError, match=r"albert_layers\.1\.ffn.*Report it"):
        narrow(teacher, BATCHES, intermediate_size=96)


@torch.no_grad()
@pytest.mark.parametrize("name", FAMILIES)
def test_a_narrower_model_that_classifies_tokens_keeps_what_its_classifier_reads(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its classifier reads the hidden states themselves, or what ModernBERT's head makes of them."""
    from transformers import AutoConfig, AutoModelForTokenClassification

    folder = write_model(tmp_path / "text", name)
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(folder, num_labels=5, initializer_range=0.1)
    teacher = AutoModelForTokenClassification.from_config(config).eval()
    silence_hidden_(teacher, GONE)
    reads_hidden_states = family(config).pooler not in dict(teacher.named_modules())
    # Dimensions that this classifier hardly reads, and the layers do: they stay where it reads the hidden states.
    teacher.classifier.weight[:, LEFT[:16] if reads_hidden_states else GONE] *= 1e-8
    student = narrow(teacher, BATCHES, hidden_size=48)
    if reads_hidden_states:
        assert torch.equal(student.classifier.weight, teacher.classifier.weight[:, LEFT])
    near = (logits_of_tokens(student) - logits_of_tokens(teacher)).abs().mean()
    at_random(monkeypatch)
    other = narrow(teacher, BATCHES, hidden_size=48)
    far = (logits_of_tokens(other) - logits_of_tokens(teacher)).abs().mean()
    assert near < far


def logits_of_tokens(model: Any) -> torch.Tensor:
    found = [model(**batch).logits[batch["attention_mask"].bool()] for batch in UNSEEN]
    return torch.cat(found)
