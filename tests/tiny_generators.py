"""Tiny generators with a tokenizer of their own, and little tasks that can be learnt: what to write stands in the source."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tests import families
from tests.tiny import WORDS

SPECIAL = {"pad_token": "<pad>", "eos_token": "</s>", "bos_token": "<s>", "unk_token": "<unk>"}
LONGEST = 64


def write_generator_tokenizer(folder: Path, *, begins: bool = False) -> Any:
    """A word-level tokenizer over WORDS; a text ends with `</s>`, or begins with `<s>`, as decoders' do."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = list(SPECIAL.values())
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate([*names, *WORDS])}, unk_token="<unk>"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.decoder = decoders.Fuse()
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A" if begins else "$A </s>", special_tokens=[("</s>", 1), ("<s>", 2)]
    )
    inner.decoder = decoders.WordPiece(prefix="##")  # a space between words
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=LONGEST, **SPECIAL)
    tokenizer.save_pretrained(folder)
    return tokenizer


def write_generator(folder: Path, family: str = "t5", *, layers: int = 1, seed: int = 0, **changes: Any) -> Path:
    """A random generator of a family, with its tokenizer, as a Hugging Face folder."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = write_generator_tokenizer(folder, begins=not families.is_seq2seq(family))
    tokens = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, "decoder_start_token_id": 0}
    if families.is_seq2seq(family) and family != "t5":
        tokens["forced_eos_token_id"] = None
    if family == "mbart":  # a target's last token goes to its beginning
        tokens["decoder_start_token_id"] = 1
    tiny = families.config(family, layers=layers)
    torch.manual_seed(seed)
    config = AutoConfig.for_model(family, **{"vocab_size": len(tokenizer), **tokens, **tiny, **changes})
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    kind.from_config(config).save_pretrained(folder)
    return folder


def write_pairs(folder: Path, *, rows: int = 120, **settings: Any) -> dict[str, Any]:
    """A summarization that can be learnt: the summary is the one word of WORDS[:8] in the text, once, twice or thrice."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(0)
    for split, count in (("train", rows), ("evaluation", 16)):
        lines = []
        for _ in range(count):
            words, told = chance.choices(WORDS[8:], k=chance.randint(2, 9)), chance.randrange(8)
            words.insert(chance.randrange(len(words)), WORDS[told])
            lines.append(json.dumps({"chat": " ".join(words), "gist": " ".join([WORDS[told]] * (told % 3 + 1))}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return {
        "name": "gists",
        "kind": "summarization",
        "data": {split: str(folder / f"{split}.jsonl") for split in ("train", "evaluation")},
        "source": "chat",
        "target": "gist",
        "holdout": 0.2,
        "max_source": 32,
        "max_target": 8,
        **settings,
    }


def write_text(folder: Path, *, lines: int = 200, **settings: Any) -> dict[str, Any]:
    """Language modelling that can be learnt: after each word of WORDS comes the next one, mostly."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(0)
    for split, count in (("train", lines), ("evaluation", 16)):
        texts = []
        for _ in range(count):
            places = [chance.randrange(len(WORDS))]
            for _ in range(12):
                places.append((places[-1] + 1) % len(WORDS) if chance.random() < 0.8 else chance.randrange(len(WORDS)))
            texts.append(" ".join(WORDS[place] for place in places))
        (folder / f"{split}.txt").write_text("\n\n".join(texts), encoding="utf-8")
    return {
        "name": "words",
        "kind": "language_modelling",
        "data": {split: str(folder / f"{split}.txt") for split in ("train", "evaluation")},
        "holdout": 0.2,
        **settings,
    }
