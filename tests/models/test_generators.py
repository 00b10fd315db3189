"""Models that write text are told from classifiers, opened as they were saved, and only with tasks that fit them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.data import loading
from compress.models import adapters, generators
from compress.models import load as models
from compress.models.families.families import stack
from tests.families import EXPORTABLE, SEQ2SEQ, having
from tests.generative import strong_generator
from tests.tiny import write_model
from tests.tiny_generators import write_generator_tokenizer


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder by family, with tied heads as each family has them."""
    folders = {name: tmp_path_factory.mktemp(name) for name in EXPORTABLE}
    for name, folder in folders.items():
        strong_generator(name, layers=1).save_pretrained(folder)
    return folders


def opened(folder: Path) -> Any:
    return models.load(Artifact(folder=folder, origin={"weights": "x"}, task=None))


@pytest.mark.parametrize("family", SEQ2SEQ)
def test_a_decoder_with_more_layers_than_its_encoder_generates_with_a_cache_what_it_does_without(
    family: str, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForSeq2SeqLM

    config = strong_generator(family, layers=1).config
    setattr(config, stack(config, "decoder").layer_count, 2)
    torch.manual_seed(0)
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(tmp_path)
    for model in (opened(tmp_path), generators.from_config(tmp_path / "config.json").eval()):
        ids = torch.arange(4, 12)[None]
        found = [model.generate(ids, max_new_tokens=4, use_cache=cached).tolist() for cached in (True, False)]
        assert found[0] == found[1]


@pytest.mark.parametrize("family", EXPORTABLE)
def test_each_family_opens_as_what_it_is_with_the_weights_that_were_saved(family: str, saved: dict[str, Path]) -> None:
    import torch

    source, found = strong_generator(family, layers=1), opened(saved[family])
    assert models.generates(saved[family])
    assert models.has_encoder(saved[family]) == (family in SEQ2SEQ)
    assert type(found) is type(source)
    assert not found.training
    wanted = source.state_dict()
    assert all(torch.equal(wanted[name], value) for name, value in found.state_dict().items())


@pytest.mark.parametrize("family", having("tied"))
def test_what_is_tied_stays_one_tensor(family: str, saved: dict[str, Path]) -> None:
    found = opened(saved[family])
    assert found.get_output_embeddings().weight is found.get_input_embeddings().weight
    if family in SEQ2SEQ:
        assert found.get_encoder().embed_tokens.weight is found.get_decoder().embed_tokens.weight


def test_a_checkpoint_in_half_precision_is_opened_in_it(tmp_path: Path) -> None:
    import torch

    strong_generator("gpt2", layers=1).to(torch.bfloat16).save_pretrained(tmp_path)
    assert opened(tmp_path).dtype == torch.bfloat16
    assert models.checkpoint_artifact(tmp_path, "half").precision == "bf16"


def test_a_missing_tensor_and_pickled_weights_are_refused(saved: dict[str, Path], tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "lacks"
    shutil.copytree(saved["bart"], folder)
    weights = load_file(folder / "model.safetensors")
    del weights["model.decoder.layers.0.fc1.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CompressError, match=r"lack 1 of the model's tensors \(model.decoder.layers.0.fc1.weight"):
        opened(folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(CompressError, match="only pickled weights"):
        models.checkpoint_artifact(folder, "x")
    with pytest.raises(CompressError, match="only pickled weights"):
        opened(folder)


def test_code_that_a_model_brings_is_run_only_where_it_is_asked_for(
    saved: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, sign = tmp_path / "code", tmp_path / "it-ran"
    shutil.copytree(saved["gpt2"], folder)
    raw = json.loads((folder / "config.json").read_text())
    raw |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine", "AutoModelForCausalLM": "mine.Model"}}
    (folder / "config.json").write_text(json.dumps(raw))
    (folder / "mine.py").write_text(
        f"from transformers import GPT2Config, GPT2LMHeadModel\nopen({str(sign)!r}, 'w').close()\n"
        "class Mine(GPT2Config):\n    model_type = 'mine'\nclass Model(GPT2LMHeadModel):\n    config_class = Mine\n"
    )
    with pytest.raises(CompressError, match="--trust-remote-code"):
        opened(folder)
    assert not sign.exists()
    monkeypatch.setenv("COMPRESS_TRUST_REMOTE_CODE", "1")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    opened(folder)
    assert sign.exists()


def test_a_marian_with_another_output_vocabulary_is_refused_by_name(tmp_path: Path) -> None:
    own = {"share_encoder_decoder_embeddings": False, "tie_word_embeddings": False, "decoder_vocab_size": 250}
    strong_generator("marian", layers=1, **own).save_pretrained(tmp_path)
    with pytest.raises(CompressError, match="The marian model in .* has separate vocabularies for input and output"):
        opened(tmp_path)


def test_how_a_model_writes_is_part_of_what_it_is(saved: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "beams"
    shutil.copytree(saved["bart"], folder)
    before = models.checkpoint_artifact(folder, "x").fingerprint()
    raw = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**raw, "num_beams": 7}))
    assert models.checkpoint_artifact(folder, "x").fingerprint() != before


def test_tasks_go_with_models_of_their_kind_only(saved: dict[str, Path], tmp_path: Path) -> None:
    write_model(tmp_path)
    samsum, wikitext2, sst2 = (loading.resolve(name)[0] for name in ("samsum", "wikitext2", "sst2"))
    models.check_labels(saved["t5"], samsum)
    models.check_labels(saved["llama"], samsum)
    models.check_labels(saved["llama"], wikitext2)
    models.check_labels(tmp_path, sst2)
    with pytest.raises(CompressError, match="is an encoder-decoder"):
        models.check_labels(saved["t5"], wikitext2)
    with pytest.raises(CompressError, match="is not a generative model"):
        models.check_labels(tmp_path, samsum)
    for family in ("t5", "gpt2"):
        with pytest.raises(CompressError, match="generates text .* but the task sst2 is a classification"):
            models.check_labels(saved[family], sst2)
    with pytest.raises(CompressError, match="is not a generative model"):
        generators.generator(tmp_path)


def test_a_generative_task_takes_the_model_as_it_is(saved: dict[str, Path], tmp_path: Path) -> None:
    write_model(tmp_path)
    found = models.for_task(saved["t5"], loading.resolve("samsum")[0], seed=0)
    assert type(found).__name__ == "T5ForConditionalGeneration"
    with pytest.raises(CompressError, match="is not a generative model"):
        models.for_task(tmp_path, loading.resolve("samsum")[0], seed=0)


@pytest.mark.parametrize(
    ("architectures", "is_encoder_decoder", "kind"),
    [
        (["BertForSequenceClassification"], False, "text-classification"),
        (["BertModel"], False, None),
        (["BartForSequenceClassification"], True, "text-classification"),
        (["BartForCausalLM"], True, "text-generation"),
        (["GPT2LMHeadModel"], False, "text-generation"),
        (["T5ForConditionalGeneration"], True, "text2text-generation"),
        (["T5Model"], True, "text2text-generation"),
        (["MarianMTModel"], True, "text2text-generation"),
    ],
)
def test_the_config_tells_the_kind(
    architectures: list[str], is_encoder_decoder: bool, kind: str | None, tmp_path: Path
) -> None:
    raw = {"model_type": "x", "architectures": architectures, "is_encoder_decoder": is_encoder_decoder}
    (tmp_path / "config.json").write_text(json.dumps(raw))
    found = models.kind_of(tmp_path)
    assert (found and found.name) == kind


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_decoder_whose_config_says_that_it_has_an_encoder_is_refused(
    family: str, saved: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(saved[family], tmp_path / family)
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**raw, "is_encoder_decoder": True}))
    with pytest.raises(CompressError, match=r"says `is_encoder_decoder`, but \w+ has no encoder. Set it to false"):
        opened(folder)


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_a_config_alone_makes_a_model_of_its_kind(family: str, saved: dict[str, Path], tmp_path: Path) -> None:
    found = generators.from_config(saved[family] / "config.json")
    assert type(found) is type(strong_generator(family, layers=1))
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(CompressError, match="not the config of a generative model"):
        generators.from_config(tmp_path / "config.json")


@pytest.mark.parametrize("family", ["bart", "llama"])
def test_an_adapter_is_merged_into_a_generative_model(family: str, saved: dict[str, Path], tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    kind = "SEQ_2_SEQ_LM" if family == "bart" else "CAUSAL_LM"
    settings = LoraConfig(task_type=kind, r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    adapted = get_peft_model(opened(saved[family]), settings).eval()
    adapted.save_pretrained(tmp_path)
    write_generator_tokenizer(tmp_path)
    found, _ = adapters.merged(saved[family], tmp_path)
    ids = torch.tensor([[5, 6, 7]])
    inputs = {"input_ids": ids, **({"decoder_input_ids": ids} if family == "bart" else {})}
    with torch.no_grad():
        logits = found(**inputs).logits
        torch.testing.assert_close(logits, adapted(**inputs).logits, rtol=1e-4, atol=1e-4)
        assert (logits - opened(saved[family])(**inputs).logits).abs().max() > 0.1
