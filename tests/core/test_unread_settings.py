"""Settings that were given and that nothing would read are refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compress.core import catalogue
from compress.core.errors import CompressError
from compress.core.unread_settings import refuse_unread

TABLES = {name: catalogue.find("techniques", name).read_when for name in catalogue.names("techniques")}
STUDENT = {"layers": 2}


@pytest.mark.parametrize("name", TABLES)
def test_each_name_in_a_table_is_a_setting(name: str) -> None:
    known = catalogue.find("techniques", name).settings.model_fields
    assert {one for rule in TABLES[name] for one in rule.names} <= set(known)


@pytest.mark.parametrize(
    ("technique", "given", "unread"),
    [
        ("quantize", {"mode": "dynamic", "calibration": "nonexistent"}, "calibration"),
        ("quantize", {"calibration_method": "minmax"}, "calibration_method"),
        ("quantize", {"outlier_layers": "static"}, "outlier_layers"),
        (
            "quantize",
            {"mode": "static", "activation_dtype": "float", "calibration_method": "mse"},
            "calibration_method",
        ),
        ("quantize", {"precision": "fp16", "mode": "static"}, "mode"),
        ("quantize", {"precision": "fp16", "exclude": ["*.0.*"]}, "exclude"),
        ("quantize", {"precision": "bf16", "embeddings": False}, "embeddings"),
        ("quantize", {"precision": "int4", "mode": "weights", "calibration": "task-256"}, "calibration"),
        ("quantize", {"precision": "int4", "mode": "weights", "act_order": True}, "act_order"),
        ("quantize", {"precision": "nf4", "mode": "bitsandbytes", "embeddings": False}, "embeddings"),
        ("quantize", {"precision": "bf16", "allow_disagreement": True}, "allow_disagreement"),
        ("qat", {"freeze_observers_at": 0.5}, "freeze_observers_at"),
        ("qat", {"attention_loss": "kl"}, "attention_loss"),
        ("qat", {"beams": 2}, "beams"),
        ("qat", {"alpha": 0, "temperature": 2}, "temperature"),
        ("qat", {"alpha": 0, "hidden_weight": 0, "teacher": "runs/teacher"}, "teacher"),
        ("export", {"provider": "cuda", "fuse": False}, "fuse"),
        ("export", {"target": "openvino", "fuse": False}, "fuse"),
        ("export", {"target": "openvino", "provider": "cpu"}, "provider"),
        ("quantize", {"target": "openvino", "calibration_method": "minmax"}, "calibration_method"),
        ("distill", {**STUDENT, "hidden_loss": "cosine"}, "hidden_loss"),
        ("distill", {**STUDENT, "calibration": "task-2048"}, "calibration"),
        ("distill", {**STUDENT, "layers": [0, 1], "layer_choice": "last"}, "layer_choice"),
        ("distill", {**STUDENT, "alpha": 0, "temperature": 2}, "temperature"),
        ("distill", {**STUDENT, "jsd_beta": 0.3}, "jsd_beta"),
        ("finetune", {"freeze_encoder_learning_rate": 1e-3}, "freeze_encoder_learning_rate"),
        ("prune", {"batch_size": 8}, "batch_size"),
        ("prune", {"sparsity": 0.7}, "sparsity"),
        ("prune", {"epochs": 1, "alpha": 0, "temperature": 2}, "temperature"),
        ("prune", {"method": "layers", "decoder_layers": 1, "sequence_kd": 0.5}, "sequence_kd"),
        ("prune", {"method": "layers", "decoder_layers": 1, "top_k": 8}, "top_k"),
        ("prune", {"batch": 4}, "batch"),
        ("prune", {"method": "magnitude", "target_ratio": 0.7}, "target_ratio"),
        ("prune", {"method": "magnitude", "pattern": "2:4", "sparsity": 0.4}, "sparsity"),
        ("prune", {"method": "kwon", "importance": "taylor"}, "importance"),
        ("prune", {"importance": "magnitude", "calibration": "task-256"}, "calibration"),
    ],
)
def test_a_setting_that_nothing_reads_is_refused_by_name(technique: str, given: dict[str, Any], unread: str) -> None:
    settings = catalogue.find("techniques", technique).settings(**given)
    with pytest.raises(CompressError, match=f"^'{unread}' has no effect here: it is used only "):
        refuse_unread(settings, TABLES[technique])


@pytest.mark.parametrize(
    ("technique", "given"),
    [
        ("quantize", {}),
        ("quantize", {"mode": "dynamic", "exclude": ["*.0.*"], "embeddings": False}),
        (
            "quantize",
            {
                "mode": "static",
                "calibration": "task-256",
                "calibration_method": "mse",
                "outlier_layers": "float",
                "smoothquant_alpha": 0.5,
            },
        ),
        ("quantize", {"precision": "fp16", "encoder": "int8", "mode": "static", "calibration_method": "minmax"}),
        ("quantize", {"precision": "int4", "mode": "gptq", "rounding": "gptq", "act_order": True, "calibration": "x"}),
        ("distill", {**STUDENT, "preset": "tinybert"}),
        ("distill", {**STUDENT, "hidden_weight": 1, "hidden_loss": "cosine", "layer_map": "last"}),
        ("prune", {"target_ratio": 0.5, "epochs": 1, "batch_size": 8, "temperature": 2}),
        ("prune", {"method": "magnitude", "gradual": False, "sparsity": 0.4, "exclude": ["*.0.*"]}),
        ("qat", {"step_sizes": "moving_average", "freeze_observers_at": 0.5, "calibration_method": "minmax"}),
    ],
)
def test_what_is_read_is_taken(technique: str, given: dict[str, Any]) -> None:
    refuse_unread(catalogue.find("techniques", technique).settings(**given), TABLES[technique])


def test_shipped_pipelines_give_nothing_that_is_not_read() -> None:
    import yaml

    from compress.core import shipped

    for name in shipped.names("pipelines"):
        steps = yaml.safe_load(shipped.find("pipelines", name).read_text())["steps"]
        for step in steps.values():
            for technique, given in step.items():
                if technique in TABLES and isinstance(given, dict):
                    refuse_unread(catalogue.find("techniques", technique).settings(**given), TABLES[technique])


def test_what_is_for_models_of_another_kind_is_refused_by_name(tmp_path: Path) -> None:
    from compress.models.load import checkpoint_artifact
    from tests.tiny import write_model
    from tests.tiny_generators import write_generator

    classifier, writer = (
        checkpoint_artifact(write_model(tmp_path / "a"), "a"),
        checkpoint_artifact(write_generator(tmp_path / "b"), "b"),
    )
    for name, given, source in (
        ("prune", {"importance": "magnitude", "new_tokens": 64}, classifier),
        ("export", {"fuse": False}, writer),
    ):
        technique = catalogue.find("techniques", name)
        with pytest.raises(CompressError, match=f"'{next(reversed(given))}' .* [Ll]eave it out"):
            technique.check_model(technique.settings(**given), source, None)
