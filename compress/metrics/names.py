"""Metrics whose authors write their names otherwise than these are named here."""

NAMES = {
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "rouge_lsum": "ROUGE-Lsum",
    "bleu": "BLEU",
    "chrf": "chrF",
    "token_accuracy": "token accuracy",
}


def name_in_words(metric: str) -> str:
    """Within a sentence: `accuracy`, `ROUGE-L`."""
    return NAMES.get(metric, metric)
