"""Distillation of generative models: what the student is, and what it learns from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.core.references import references
from compress.core.settings import build
from compress.data import calibration
from compress.data.loading import described_task, resolve
from compress.distillation import generative_cache, transfer_set
from compress.distillation.distill_settings import Distill
from compress.distillation.layer_importance import most_important_layers
from compress.distillation.loss_config import LossConfig
from compress.distillation.objective import objective_of
from compress.distillation.students import Student, make
from compress.distillation.teacher import Teacher
from compress.metrics import verdicts
from compress.models import load as models
from compress.models.forward import STATES
from compress.models.generators import generator
from compress.models.load import resolve_model, tokenizer
from compress.models.widths import all_widths
from compress.tasks.kinds.laws import TOKENS
from compress.techniques.apply import apply, check
from compress.training import loop
from tests.families import ONE_OF_EACH, is_seq2seq
from tests.tiny import write_model, write_task
from tests.tiny_generators import write_generator, write_pairs, write_text

TECHNIQUE = find("techniques", "distill")
Run = Callable[..., Artifact]


@pytest.fixture
def distil(tmp_path: Path) -> Run:
    """`distil("student", "bart", decoder_layers=1)`: a step of one epoch on a little summarization."""

    def run(name: str, family: str = "bart", *, task: Any = None, **settings: Any) -> Artifact:
        folder = tmp_path / f"teacher-{family}"
        if not folder.exists():
            write_generator(folder, family, layers=3, init_std=0.3, initializer_range=0.3)  # sure of some tokens
        described = task or write_pairs(tmp_path / "data", rows=40)
        if "student" not in settings and not {"layers", "encoder_layers"} & settings.keys():
            settings = {"decoder_layers": 1, **settings}
        chosen = build(
            Distill, {"epochs": 1, "batch_size": 16, "precision": "fp32", "learning_rate": 1e-3, **settings}, "test"
        )
        inputs = {key: resolve_model(where) for key, where in references(chosen).items()}
        return apply(TECHNIQUE, resolve_model(str(folder)), chosen, tmp_path / name, task=described, inputs=inputs)

    return run


def weights(artifact: Artifact) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(artifact.folder / "model.safetensors")
    return found


def equal(one: Artifact, other: Artifact) -> bool:
    """Whether two artifacts' weights are the same to the last bit."""
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def facts(artifact: Artifact) -> Any:
    return artifact.steps[-1].facts


@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_a_student_of_some_layers_learns_next_tokens_from_the_cache(distil: Run, family: str, tmp_path: Path) -> None:
    made = distil("student", family, layers=2)
    told = facts(made)
    assert told["decoder_layers_kept"] == [0, 2]
    assert ("encoder_layers_kept" in told) == (is_seq2seq(family))
    assert set(told["curves"]) >= {"loss", "loss: labels", "loss: soft targets", "rouge_l on held-out rows"}
    error = told["top_k_error"]
    assert error["k"] == 64
    assert error["kept"] == pytest.approx(error["whole"], rel=0.02)  # the tiny vocabulary has no more tokens
    model = generator(made.folder)
    assert (tmp_path / ".compress-cache" / "teacher-tokens").is_dir()
    assert model.generate(input_ids=torch.tensor([[5, 9, 1]]), max_new_tokens=4).shape[0] == 1


@pytest.mark.parametrize("family", ["bart", "llama"])
def test_a_narrower_student_learns_from_its_teacher(distil: Run, family: str) -> None:
    made = distil(
        "student", family, layers=2, hidden_size=24, intermediate_size=48, epochs=4, alpha=1, learning_rate=3e-3
    )
    told, model = facts(made), generator(made.folder)
    assert "hidden width 32 to 24" in told["student"]
    assert {(one.hidden, one.neurons) for one in all_widths(model.config)} == {(24, 48)}
    curve = [value for _, value in told["curves"]["loss"]]
    assert curve[-1] < 0.9 * curve[0]
    assert model.generate(input_ids=torch.tensor([[5, 9, 1]]), max_new_tokens=4).shape[0] == 1


def test_each_side_is_shortened_by_itself(distil: Run) -> None:
    made = distil("student", "t5", decoder_layers=1, encoder_layers=(0, 2))
    config = json.loads((made.folder / "config.json").read_text())
    assert (config["num_layers"], config["num_decoder_layers"]) == (2, 1)
    assert facts(made)["encoder_layers_kept"] == [0, 2]
    assert facts(made)["decoder_layers_kept"] == [2]


def test_the_online_teacher_and_a_cache_of_all_tokens_teach_alike(distil: Run) -> None:
    cached, live = distil("cached", top_k=64), distil("live", top_k=0)
    assert "top_k_error" not in facts(live)
    for name, value in weights(cached).items():
        # The cache rounds log-probabilities to 16 bits; Adam moves a weight by the learning rate at most, whatever its gradient.
        torch.testing.assert_close(value, weights(live)[name], rtol=0, atol=1e-3)
    assert not equal(cached, live)
    assert facts(cached)["curves"]["loss: soft targets"][-1][1] == pytest.approx(
        facts(live)["curves"]["loss: soft targets"][-1][1], rel=1e-2
    )


def test_the_most_important_layers_are_those_without_which_the_loss_on_references_is_largest(
    distil: Run, tmp_path: Path
) -> None:
    told = facts(distil("student", "bart", decoder_layers=2, layer_choice="importance", calibration="task-256"))
    teacher = generator(tmp_path / "teacher-bart")
    described = described_task(write_pairs(tmp_path / "data", rows=40))
    batches = calibration.tensors("task-256", described, tokenizer(tmp_path / "teacher-bart"), teacher.config)
    assert told["decoder_layers_kept"] == list(most_important_layers(teacher, 2, batches))
    assert "the most important on task-256" in told["student"]


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_a_frozen_encoder_is_the_teachers_to_the_last_bit_and_runs_once(
    distil: Run, family: str, tmp_path: Path
) -> None:
    settings = {"on_policy": 0.3, "epochs": 2, "batch_size": 8, "keep_checkpoint": "last"}
    if family == "t5":
        write_generator(tmp_path / "teacher-t5", "t5", layers=3, dropout_rate=0.0)
    made, moved = distil("still", family, freeze_encoder=True, **settings), distil("moved", family, **settings)
    teacher, student, other = (
        generator(one).get_encoder() for one in (tmp_path / f"teacher-{family}", made.folder, moved.folder)
    )
    own = student.state_dict()
    assert all(torch.equal(own[name], value) for name, value in teacher.state_dict().items())
    assert not all(torch.equal(other.state_dict()[name], value) for name, value in teacher.state_dict().items())
    assert not equal(made, moved)
    assert len(list((tmp_path / ".compress-cache" / "encoder").iterdir())) == 1


def test_states_on_disk_give_the_loss_of_the_encoder_itself(tmp_path: Path) -> None:
    folder = write_generator(tmp_path / "bart", "bart", layers=2, init_std=0.3)
    student, settings = (
        Student(generator(folder).eval(), tokenizer(folder)),
        build(Distill, {"layers": 1, "precision": "fp32"}, ""),
    )
    found = transfer_set.prepare(
        [Teacher(resolve_model(str(folder)))],
        student,
        described_task(write_pairs(tmp_path / "data", rows=40)),
        settings,
        tmp_path / "cache",
        freeze=True,
    )
    rows: list[Mapping[str, Any]] = [{**found.data.train[place], "place": place} for place in (3, 20, 7)]
    batch = found.data.collate(rows, student.tokenizer, found.extras)
    with objective_of(student.model, LossConfig(law=TOKENS), seed=0) as objective, torch.no_grad():
        kept, _ = objective(student.model, batch, 0.0)
        live, _ = objective(student.model, {name: value for name, value in batch.items() if name != STATES}, 0.0)
    assert STATES in batch
    assert kept.item() == pytest.approx(live.item(), rel=1e-3)  # 16 bits
    assert kept.item() != live.item()


def test_the_teacher_is_asked_once_for_all_seeds_and_losses(distil: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = distil("first")
    monkeypatch.setattr(generative_cache, "write_outputs", lambda *_, **__: pytest.fail("the teacher was asked again"))
    second = distil("second", seed=1, divergence="jsd", jsd_beta=0.1, alpha=0.9)
    assert facts(second)["teacher_seconds"] == facts(first)["teacher_seconds"]


@pytest.mark.slow
def test_each_divergence_teaches_otherwise_and_the_same_seed_the_same(distil: Run) -> None:
    made = {name: distil(name, divergence=name, alpha=1.0) for name in ("forward_kl", "reverse_kl", "jsd")}
    again = distil("again", divergence="jsd", alpha=1.0, top_k=64)
    assert not equal(made["forward_kl"], made["reverse_kl"])
    assert not equal(made["forward_kl"], made["jsd"])
    assert equal(made["jsd"], again)


@pytest.mark.parametrize("family", ["bart", "gpt2"])
def test_on_policy_asks_the_online_teacher_and_keeps_nothing_where_all_is_sampled(
    distil: Run, family: str, tmp_path: Path
) -> None:
    made = distil("student", family, on_policy=1.0)
    assert not (tmp_path / ".compress-cache" / "teacher-tokens").exists()
    assert all(point[1] == 1.0 for point in facts(made)["curves"]["loss: share of own samples"])


@pytest.mark.slow
@pytest.mark.parametrize("family", ["t5", "llama"])
def test_a_killed_on_policy_run_ends_with_the_weights_of_one_that_was_not(
    distil: Run, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"on_policy": 0.5, "epochs": 3, "keep_checkpoint": "last", "batch_size": 8}
    whole = distil("whole", family, **settings)
    steps: list[int] = []
    with monkeypatch.context() as patched:
        compute = loop.Loop.compute_loss

        def dying(self: Any, *given: Any, **named: Any) -> Any:
            steps.append(1)
            if len(steps) == 8:
                raise RuntimeError("killed")
            return compute(self, *given, **named)

        patched.setattr(loop.Loop, "compute_loss", dying)
        with pytest.raises(RuntimeError, match="killed"):
            distil("parts", family, **settings)
    resumed = distil("parts", family, **settings)
    assert facts(resumed)["resumed_from_step"]
    assert equal(whole, resumed)


@pytest.mark.parametrize("family", ["bart", "gpt2"])
def test_alpha_zero_is_plain_fine_tuning_to_the_last_bit_and_needs_no_teacher(
    distil: Run, family: str, tmp_path: Path
) -> None:
    given, task = write_generator(tmp_path / "given", family), write_pairs(tmp_path / "data", rows=40)
    distilled = distil("distilled", family, student=str(given), alpha=0.0)
    technique = find("techniques", "finetune")
    settings = {"epochs": 1, "batch_size": 16, "precision": "fp32", "learning_rate": 1e-3}
    tuned = apply(technique, resolve_model(str(given)), technique.settings(**settings), tmp_path / "tuned", task=task)
    assert equal(distilled, tuned)
    assert not (tmp_path / ".compress-cache" / "teacher-tokens").exists()


def test_pseudo_labels_replace_references_and_need_no_shared_vocabulary(distil: Run, tmp_path: Path) -> None:
    references = distil("references", alpha=1e-9)
    written = distil("written", alpha=0.0, sequence_kd=1.0, beams=2)
    assert facts(written)["pseudo_labels"]["rows"] == facts(written)["training_rows"]
    assert "teacher_seconds" not in facts(written)
    assert not equal(references, written)
    other = write_generator(tmp_path / "other", "gpt2", vocab_size=100)
    with pytest.raises(CompressError, match="do not share a vocabulary"):
        distil("refused", student=str(other), alpha=0.5)
    distilled = distil("distilled", student=str(other), alpha=0.0, sequence_kd=1.0, beams=2)
    assert json.loads((distilled.folder / "config.json").read_text())["model_type"] == "gpt2"


def test_a_decoder_learns_text_in_blocks(distil: Run, tmp_path: Path) -> None:
    task = write_text(tmp_path / "text")
    made = distil("student", "llama", task=task, max_length=16, on_policy=0.3)
    assert "perplexity on held-out rows" in facts(made)["curves"]
    with pytest.raises(CompressError, match="no source texts"):
        distil("refused", "llama", task=task, max_length=16, sequence_kd=0.5)


@pytest.mark.slow
def test_the_comparison_trains_the_same_student_without_the_teacher(distil: Run) -> None:
    told = facts(distil("student", "t5", with_baseline=True, seeds=2, sequence_kd=0.5, beams=1))["teacher_effect"]
    assert told["seeds"] == [0, 1]
    assert told["rows"] == 16
    assert list(told["metrics"]) == ["rouge_l", "rouge1", "rouge2", "rouge_lsum"]
    assert told["word"] == verdicts.word(*told["interval"], told["margin"], of_seeds=True)
    assert told["text"].startswith("Over 2 seeds the teacher brought")


@pytest.mark.slow
def test_the_comparison_of_decoders_is_by_perplexity(distil: Run, tmp_path: Path) -> None:
    task = write_text(tmp_path / "text")
    told = facts(distil("student", "gpt2", task=task, max_length=16, with_baseline=True))["teacher_effect"]
    assert (told["metric"], told["unit"], told["higher_is_better"]) == ("perplexity", "perplexity", False)
    assert told["metrics"]["perplexity"]["taught"]["mean"] > 1
    assert "points" not in told["text"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"teacher_weights": (1.0,), "alpha": 0.0}, "'teacher_weights' has no effect here"),
        ({"hidden_size": 12, "decoder_layers": None, "layers": None}, "not a multiple of 8, the size of a head"),
        ({"hidden_size": 16, "freeze_encoder": True}, "keeps the teacher's encoder as it is"),
        ({"augment": 1.0}, "only for encoders"),
        ({"max_length": 20}, "max_source"),
        ({"decoder_layers": 4}, "cannot keep 4 layers"),
        ({"decoder_layers": (2, 0)}, "not increasing"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_loaded(
    distil: Run, settings: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compress.models.load.load", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(CompressError, match=says):
        distil("student", **settings)


@pytest.mark.parametrize(
    ("family", "asked", "is_said"),
    [
        ("bart", {"layers": 3}, True),
        ("bart", {"decoder_layers": 3}, True),
        ("bart", {"decoder_layers": 3, "encoder_layers": 1}, False),
        ("bart", {"decoder_layers": 1}, False),
        ("llama", {"layers": (0, 1, 2)}, True),
        ("llama", {"layers": 2}, False),
    ],
    ids=str,
)
def test_a_student_with_all_layers_of_its_teacher_is_reported_as_no_smaller(
    family: str, asked: dict[str, Any], is_said: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    teacher = resolve_model(str(write_generator(tmp_path / family, family, layers=3)))
    task = write_pairs(tmp_path / "data", rows=4) if family == "bart" else write_text(tmp_path / "data", lines=4)
    check(TECHNIQUE, teacher, Distill(**asked), described_task(task))
    assert ("so it is not smaller" in caplog.text) == is_said


def test_a_given_student_as_large_as_its_teacher_is_reported_as_no_smaller(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders = [write_generator(tmp_path / str(layers), "bart", layers=layers) for layers in (2, 2, 1)]
    teacher, described = resolve_model(str(folders[0])), write_pairs(tmp_path / "data", rows=4)
    task, _ = resolve(described)
    for folder, is_said in zip(folders[1:], (True, False), strict=True):
        caplog.clear()
        make(teacher, Distill(student=str(folder)), task, described)
        assert ("it is not smaller" in caplog.text) == is_said


def test_settings_of_generative_models_are_refused_for_classifiers_and_the_reverse(tmp_path: Path) -> None:
    classifier, task = write_model(tmp_path / "bert"), write_task(tmp_path / "moods")
    with pytest.raises(CompressError, match="top_k is for generative models"):
        apply(
            TECHNIQUE,
            resolve_model(str(classifier)),
            TECHNIQUE.settings(layers=2, top_k=8),
            tmp_path / "student",
            task=task,
        )
    pairs = write_pairs(tmp_path / "pairs")
    with pytest.raises(CompressError, match="is a classifier, and gists is for generative models"):
        apply(TECHNIQUE, resolve_model(str(classifier)), TECHNIQUE.settings(layers=2), tmp_path / "student", task=pairs)
    decoder = write_generator(tmp_path / "gpt2", "gpt2", layers=2)
    with pytest.raises(CompressError, match="no encoder_layers"):
        apply(
            TECHNIQUE,
            resolve_model(str(decoder)),
            TECHNIQUE.settings(encoder_layers=1),
            tmp_path / "student",
            task=pairs,
        )


def terms(artifact: Artifact, stage: str = "") -> set[str]:
    """The names of the terms of a stage's loss."""
    before = f"{stage} loss: ".lstrip()
    return {name.removeprefix(before) for name in facts(artifact)["curves"] if name.startswith(before)}


LAYERS = {"hidden_weight": 1.0, "attention_weight": 1.0, "relation_weight": 1.0, "embedding_weight": 1.0}


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_the_layers_of_each_side_are_matched_with_the_cached_ones(distil: Run, family: str, tmp_path: Path) -> None:
    made = distil("student", family, layers=2, **LAYERS)
    sides = ("encoder ", "decoder ") if is_seq2seq(family) else ("",)
    kinds = ("hidden states", "attention", "relations", "embeddings")
    assert terms(made) == {"labels", "soft targets", *(f"{side}{kind}" for side in sides for kind in kinds)}
    (cached,) = (tmp_path / ".compress-cache" / "teacher-features").iterdir()
    assert (cached / f"{sides[-1].strip()}.hidden.2.npy".lstrip(".")).exists()
    assert not any("distillation" in name for name in weights(made))


@pytest.mark.parametrize(
    ("preset", "first", "last"),
    [
        ("tinybert", {"hidden states", "attention", "embeddings"}, set()),
        pytest.param("minilm", {"relations"}, {"labels", "soft targets"}, marks=pytest.mark.slow),
        pytest.param("patient", set(), {"labels", "soft targets", "hidden states"}, marks=pytest.mark.slow),
        pytest.param("distilbert", set(), {"labels", "soft targets", "hidden states"}, marks=pytest.mark.slow),
    ],
)
def test_presets_are_for_generative_models_too(distil: Run, preset: str, first: set[str], last: set[str]) -> None:
    made = distil("student", "gpt2", layers=2, preset=preset, **({"intermediate_epochs": 1} if first else {}))
    several = {name: found for name, found in (("stage 1", first), ("", last)) if len(found) > 1}
    assert {name: terms(made, name) for name in several} == several  # a single term is the loss itself
    assert ("stage 1 loss" in facts(made)["curves"]) == bool(first)


@pytest.mark.slow
def test_features_that_would_take_too_much_disk_come_from_the_online_teacher(distil: Run, tmp_path: Path) -> None:
    settings = {"hidden_weight": 1.0, "relation_weight": 1.0, "alpha": 0.0}
    cached, live = distil("cached", **settings), distil("live", **settings, teacher_cache_gb=0)
    assert len(list((tmp_path / ".compress-cache" / "teacher-features").iterdir())) == 1
    assert "teacher_seconds" not in facts(live)
    for name in ("loss: decoder hidden states", "loss: encoder relations"):
        one, other = (facts(made)["curves"][name][-1][1] for made in (cached, live))
        assert one == pytest.approx(other, rel=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["t5", "llama"])
def test_in_a_first_stage_a_narrower_students_layers_come_nearer_to_the_teachers(
    distil: Run, tmp_path: Path, family: str
) -> None:
    narrow = {"d_model": 16} if family == "t5" else {"hidden_size": 16}
    folder = write_generator(tmp_path / "narrow", family, layers=2, **narrow)
    settings = {"intermediate_epochs": 12, "batch_size": 8, "learning_rate": 3e-2}
    made = distil("student", family, student=str(folder / "config.json"), preset="tinybert", **settings)
    for side in ("encoder ", "decoder ") if is_seq2seq(family) else ("",):
        for term, share in (("embeddings", 0.5), ("hidden states", 0.9)):
            points = [value for _, value in facts(made)["curves"][f"stage 1 loss: {side}{term}"]]
            assert sum(points[-8:]) < share * sum(points[:8])


def test_no_features_of_the_students_own_samples_are_cached(distil: Run, tmp_path: Path) -> None:
    made = distil("student", "gpt2", on_policy=0.5, hidden_weight=1.0)
    assert not (tmp_path / ".compress-cache" / "teacher-features").exists()
    assert "hidden states" in terms(made)


def test_beside_a_frozen_encoder_the_decoder_alone_is_matched(distil: Run, tmp_path: Path) -> None:
    made = distil("student", freeze_encoder=True, hidden_weight=1.0)
    assert terms(made) == {"labels", "soft targets", "decoder hidden states"}
    assert len(list((tmp_path / ".compress-cache" / "encoder").iterdir())) == 1
    with pytest.raises(CompressError, match="learn nothing with freeze_encoder"):
        distil("refused", freeze_encoder=True, hidden_weight=1.0, layer_map="encoder.0:1,decoder.0:1")


@pytest.mark.slow
@pytest.mark.parametrize("killed_at", ["first stage", "second stage"])
def test_a_killed_distillation_of_layers_ends_with_the_weights_of_one_that_was_not(
    distil: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    """Of a student of another width: its learned projections are in the checkpoint too."""
    narrow = write_generator(tmp_path / "narrow", "bart", layers=2, d_model=16) / "config.json"
    settings = {
        "student": str(narrow),
        "preset": "tinybert",
        "intermediate_epochs": 2,
        "epochs": 2,
        "alpha": "1..0.5",
        "hidden_weight": "1..0",
        "keep_checkpoint": "last",
        "batch_size": 8,
    }
    whole = distil("whole", **settings)
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)  # a checkpoint after each step
    steps: list[int] = []
    with monkeypatch.context() as patched:
        compute = loop.Loop.compute_loss

        def dying(self: Any, *given: Any, **named: Any) -> Any:
            steps.append(1)
            if len(steps) == (6 if killed_at == "first stage" else 12):
                raise RuntimeError("killed")
            return compute(self, *given, **named)

        patched.setattr(loop.Loop, "compute_loss", dying)
        with pytest.raises(RuntimeError, match="killed"):
            distil("parts", **settings)
        resumed = distil("parts", **settings)
    assert len(steps) == facts(whole)["training_steps"] + 1  # no step is computed twice, but the one that was killed
    assert equal(whole, resumed)


def test_several_teachers_are_asked_in_one_pass_and_their_scores_reported(distil: Run, tmp_path: Path) -> None:
    other = write_generator(tmp_path / "other", "bart", layers=2, seed=7, init_std=0.3)
    made = distil("student", teachers=(str(other),), teacher_weights=(2.0, 1.0), hidden_weight=1.0)
    told = facts(made)
    assert told["teachers"] == ["teacher-bart", "other"]
    assert [one["metric"] for one in told["teacher_score"]] == ["rouge_l", "rouge_l"]
    assert len(list((tmp_path / ".compress-cache" / "teacher-tokens").iterdir())) == 1
    assert told["top_k_error"]["kept"] == pytest.approx(told["top_k_error"]["whole"], rel=0.02)


def test_each_teacher_is_opened_once(distil: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For its score, its texts, its next tokens, their truncation error, its layers, and each step."""
    other = write_generator(tmp_path / "other", "bart", layers=2, seed=7, init_std=0.3)
    opened, load = Counter[str](), models.load
    monkeypatch.setattr(models, "load", lambda one: opened.update([one.folder.name]) or load(one))
    distil("student", teachers=(str(other),), hidden_weight=1.0, sequence_kd=0.5, on_policy=0.5)
    assert (opened["teacher-bart"], opened["other"]) == (2, 1), "the first one's layers also become the student's"


@pytest.mark.slow
def test_several_online_teachers_teach_as_their_cached_mean(distil: Run, tmp_path: Path) -> None:
    other = write_generator(tmp_path / "other", "bart", layers=2, seed=7, init_std=0.3)
    alone = distil("alone")
    cached, live = (
        distil(name, teachers=(str(other),), teacher_weights=(2.0, 1.0), hidden_weight=1.0, top_k=k)
        for name, k in (("cached", 64), ("live", 0))
    )
    one, two, three = (facts(some)["curves"]["loss: soft targets"][0][1] for some in (cached, live, alone))
    assert one == pytest.approx(two, rel=1e-2)
    assert one != pytest.approx(three, rel=1e-2)


def test_a_teacher_with_another_vocabulary_is_refused_before_any_is_scored(
    distil: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer_set, "_score", lambda *_: pytest.fail("a teacher was scored"))
    strange = write_generator(tmp_path / "strange", "bart", vocab_size=100)
    with pytest.raises(CompressError, match="teacher .*strange do not share a vocabulary"):
        distil("refused", teachers=(str(strange),))
    decoder = write_generator(tmp_path / "decoder", "gpt2")
    with pytest.raises(CompressError, match="its teacher .*decoder"):
        distil("refused", teachers=(str(decoder),))


def test_layers_are_not_matched_with_a_student_that_reads_other_tokens(distil: Run, tmp_path: Path) -> None:
    other = write_generator(tmp_path / "other", "gpt2")  # its texts begin with a token of their own
    with pytest.raises(CompressError, match="another tokenizer than its teacher, so their hidden layers"):
        distil("refused", student=str(other), hidden_weight=1.0, alpha=0.0)
