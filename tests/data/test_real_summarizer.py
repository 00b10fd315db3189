"""From files to scores, the fixed summarizer has the figures that are published beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from compress.data.collate import batches_by_length, collate_pairs, row_lengths
from compress.data.description import resolve
from compress.data.loading import load
from compress.data.seq2seq_pairs import for_encoder_decoder
from compress.metrics import statistics
from compress.metrics.distinct import distinct
from compress.tasks.kinds.trivial import Known, lead_three
from compress.tasks.scoring import metrics


@pytest.mark.slow
def test_the_fixed_summarizer_has_its_published_rouge_and_beats_the_first_three_turns(
    tmp_path: Path, real_data: Path
) -> None:
    """Published: 41.2/14.4/32.5, greedily on the first 160 test dialogues, turns joined and cut at 256 tokens."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    folder = real_data / "models" / "bart-samsum"
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    described = {"name": "samsum", "data": str(real_data / "data" / "SAMSum"), "line_end": " | ", "max_source": 256}
    task, data = resolve({**described, "metric": ["rouge1", "rouge2", "rouge_l"]})
    rows = load(task, data, "test", tmp_path).rows.select(range(160))
    start = model.config.decoder_start_token_id
    found = for_encoder_decoder(rows, task, tokenizer, model.config.model_type, start, tmp_path).rows
    outputs = [""] * len(rows)
    for places in batches_by_length(row_lengths(found), 16):
        batch = collate_pairs([found[place] for place in places], tokenizer, {})
        del batch["labels"]
        ids = model.generate(**batch, num_beams=1, max_new_tokens=60)
        for place, text in zip(places, tokenizer.batch_decode(ids, skip_special_tokens=True), strict=True):
            outputs[place] = text
    leads = lead_three(Known({"text": rows["text"]}, is_dialogue=True))
    for metric, published in zip(metrics(task), (41.2, 14.4, 32.5), strict=True):
        of_model, of_lead = (metric.statistics(texts, rows["label"][:]) for texts in (outputs, leads))
        assert 100 * metric.score_of(of_model) == pytest.approx(published, abs=0.0501)  # published with one digit
        assert statistics.compare_sums(metric.of_sums, of_model, of_lead).interval[0] > 0
    assert distinct(outputs).share == 1.0
