"""A LoRA adapter that was trained with added tokens is merged with the embeddings that it brings, or refused without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.errors import CompressError
from compress.models.adapters import merged
from compress.models.load import checkpoint_artifact, load, save
from tests.tiny_generators import write_generator, write_generator_tokenizer

ADDED = ["<sum>", "<end>"]


def adapted(folder: Path, *, tied: bool, modules: list[str] | None, embeddings: bool = True) -> tuple[Path, Path, Any]:
    """A base, an adapter for it with two more tokens, and the model that PEFT makes of the two."""
    from peft import LoraConfig, get_peft_model

    base = write_generator(folder / "base", "llama", tie_word_embeddings=tied)
    model = load(checkpoint_artifact(base, "base"))
    its_tokenizer = write_generator_tokenizer(folder / "adapter", begins=True)
    its_tokenizer.add_tokens(ADDED)
    model.resize_token_embeddings(len(its_tokenizer))
    settings = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "v_proj"], modules_to_save=modules)
    whole = get_peft_model(model, settings).eval()
    with torch.no_grad():
        for name, parameter in whole.named_parameters():
            if "lora_B" in name or (".modules_to_save." in name and modules == ["embed_tokens", "lm_head"]):
                parameter.normal_(0, 0.3)
    whole.save_pretrained(folder / "adapter", save_embedding_layers=embeddings)
    its_tokenizer.save_pretrained(folder / "adapter")
    return base, folder / "adapter", whole


@pytest.mark.parametrize("modules", [["embed_tokens", "lm_head"], None], ids=["trained", "resized"])
@pytest.mark.parametrize("tied", [False, True], ids=["own head", "tied head"])
def test_added_tokens_are_merged_with_the_embeddings_of_the_adapter(
    tied: bool, modules: list[str] | None, tmp_path: Path
) -> None:
    base, adapter, wanted = adapted(tmp_path, tied=tied, modules=modules)
    found, its_tokenizer = merged(base, adapter)
    ids = its_tokenizer("the film <sum> was good <end>", return_tensors="pt")["input_ids"]
    assert set(its_tokenizer.convert_tokens_to_ids(ADDED)) <= set(ids[0].tolist())
    save(found, its_tokenizer, tmp_path / "merged")
    again = load(checkpoint_artifact(tmp_path / "merged", "merged"))
    with torch.no_grad():
        for model in (found, again):
            torch.testing.assert_close(model(ids).logits, wanted(ids).logits, rtol=1e-4, atol=1e-4)


def test_added_tokens_without_their_embeddings_are_refused(tmp_path: Path) -> None:
    base, adapter, _ = adapted(tmp_path, tied=False, modules=None, embeddings=False)
    with pytest.raises(
        CompressError, match=r"token id \d+, but the base model has \d+ embeddings.*Save the adapter with"
    ):
        merged(base, adapter)
