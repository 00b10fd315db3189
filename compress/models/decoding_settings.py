"""Every setting of transformers' GenerationConfig, by how it is handled: each is in one of these tables.

The same holds for torch and for exported graphs, so that both generate the same text.
"""

from __future__ import annotations

from typing import Any

RULES = (
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
    "repetition_penalty",
    "length_penalty",
    "early_stopping",
    "min_length",
    "min_new_tokens",
)
"""Rules of decoding, which whoever decodes takes from the model or leaves out."""
NEUTRAL = {
    "length_penalty": 1.0,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
}
OF_THE_MODEL = (
    *("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"),
    *("forced_bos_token_id", "forced_eos_token_id", "suppress_tokens", "begin_suppress_tokens", "bad_words_ids"),
    *("sequence_bias", "encoder_repetition_penalty", "exponential_decay_length_penalty"),
    *("remove_invalid_values", "renormalize_logits", "watermarking_config"),
)
"""Which tokens begin, end and pad a text, and what changes the scores of tokens: always carried out as the model says."""
OF_THE_COMMAND = (
    *("max_length", "max_new_tokens", "num_beams", "num_return_sequences", "do_sample"),
    *("use_cache", "return_dict_in_generate"),
)
"""How long a text is and how it is searched for. A command may take the model's beams and length; it never samples."""
OF_CHANCE = (*("temperature", "top_k", "top_p", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff"),)
"""What has an effect only where tokens are sampled."""
ONLY_HOW = (
    *(
        "cache_implementation",
        "cache_config",
        "max_cache_len",
        "prefill_chunk_size",
        "compile_config",
        "disable_compile",
    ),
    *("continuous_batching_config", "low_memory", "use_mtp"),
    *("output_scores", "output_logits", "output_attentions", "output_hidden_states"),
    *("is_assistant", "num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold"),
    *("prompt_lookup_num_tokens", "max_matching_ngram_size", "assistant_early_exit", "assistant_lookbehind"),
    *("target_lookbehind", "assistant_ensemble_weight", "speculation_type"),
    "diversity_penalty",  # between groups of beams, which are refused
)
"""What changes how the same text is computed, or what is returned beside it; never used."""
OF_THE_FILE = ("_from_model_config", "transformers_version")
NOT_DONE: dict[str, tuple[Any, ...]] = {
    "stop_strings": (None, []),
    "token_healing": (None, False),
    "max_time": (None,),
    "num_beam_groups": (None, 0, 1),
    "penalty_alpha": (None, 0, 0.0),
    "dola_layers": (None,),
    "constraints": (None, []),
    "force_words_ids": (None, []),
    "guidance_scale": (None, 1, 1.0),  # asks the model a second time at each token, which an exported graph cannot
}
"""What would change the text and is done by no command here, each with the values that change nothing."""
