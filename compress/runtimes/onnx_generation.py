"""`generate()` over an ONNX export: transformers' own generation code, with ONNX Runtime in place of the model.

So all of `generate()`'s options are transformers', not a copy of them. Its loop over tokens is replaced where a faster one gives
the same tokens (`compress.runtimes.search`).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    AutoConfig,
    DynamicCache,
    EncoderDecoderCache,
    GenerationConfig,
    GenerationMixin,
    PreTrainedConfig,
)
from transformers.cache_utils import DynamicLayer
from transformers.modeling_outputs import CausalLMOutputWithPast, ModelOutput, Seq2SeqLMOutput

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.models.decoding_settings import ONLY_HOW
from compress.models.families.cache_name import cache_name
from compress.models.generation_config import generation_config
from compress.runtimes import search
from compress.runtimes.bound_decoder import BoundDecoder, why_unbound
from compress.runtimes.onnx_runtime import PROVIDERS
from compress.runtimes.runtime import Serving
from compress.runtimes.session_choices import session_choice
from compress.runtimes.sessions_with_cache import GenerationSessions, KeysAndValues, open_generation


def open_generator(artifact: Artifact, serving: Serving) -> OnnxGenerator:
    """The artifact's graphs with `generate()`.

    Raises CompressError where the artifact has no `decode` graph, its config is missing, or a graph cannot be opened.
    """
    return open_generator_in(artifact.folder, artifact.parts, serving)


def open_generator_in(folder: Path, parts: Mapping[str, str], serving: Serving) -> OnnxGenerator:
    """The same for a folder with `config.json`, `generation_config.json` where there is one, and the files of `parts`.

    Raises as `open_generator`, and where `compress.models.generation_config` cannot read the settings.
    """
    opened = open_generation(
        {part: folder / name for part, name in parts.items()},
        threads=serving.threads,
        provider=PROVIDERS[serving.device],
        options=session_choice(serving.options),
    )
    if not (folder / "config.json").is_file():
        raise CompressError(f"{folder} has no config.json, so how it generates is unknown. Export the model again.")
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    return generator_of(opened, config, generation_config(folder))


def generator_of(graphs: GenerationSessions, config: PreTrainedConfig, settings: GenerationConfig) -> OnnxGenerator:
    """The same for open graphs, the config of their model, and the settings by which it generates.

    Of the settings, those are reset that would only change how a text is computed: most need a torch model.
    """
    for name in ONLY_HOW:
        setattr(settings, name, None)
    return (OnnxDecoder if graphs.encoder is None else OnnxEncoderDecoder)(graphs, config, settings)


WITHOUT_EFFECT = ("return_dict", "output_attentions", "output_hidden_states")
"""Arguments of a forward pass that change what is returned beside the logits."""


class OnnxGenerator(GenerationMixin):
    """What `generate()` needs from a model, except the forward pass. Tensors are on the device of the graphs."""

    main_input_name = "input_ids"
    base_model_prefix = ""
    _is_stateful = False
    hf_quantizer = None
    forward: Any  # each kind has the arguments of its torch models, which `generate()` reads from the signature

    def __init__(
        self, graphs: GenerationSessions, config: PreTrainedConfig, generation_config: GenerationConfig
    ) -> None:
        self.graphs = graphs
        self.config = config
        self.generation_config = generation_config
        self.device = graphs.device
        self.dtype = torch.float32
        self.left_to_transformers: str | None = None
        """Why the last `generate()` took transformers' loop; None where it took the one of `compress.runtimes.search`."""

    def __call__(self, **inputs: Any) -> ModelOutput:
        with torch.no_grad():
            done: ModelOutput = self.forward(**inputs)
        return done

    def _sample(
        self,
        input_ids: torch.Tensor,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        **others: Any,
    ) -> Any:
        """The loop over tokens of greedy search, which `generate()` calls when it has prepared everything else."""
        decoder = self._bound(input_ids, generation_config, others)
        if decoder is None:
            return super()._sample(input_ids, logits_processor, stopping_criteria, generation_config, **others)
        return search.greedy(
            decoder, input_ids, logits_processor, search.Stops.of(stopping_criteria, generation_config)
        )

    def _beam_search(
        self,
        input_ids: torch.Tensor,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        **others: Any,
    ) -> Any:
        """The same of beam search."""
        decoder = self._bound(input_ids, generation_config, others)
        if decoder is None:
            return super()._beam_search(input_ids, logits_processor, stopping_criteria, generation_config, **others)
        stops = search.Stops.of(stopping_criteria, generation_config)
        return search.beams(decoder, input_ids, logits_processor, stops, generation_config)

    def _bound(self, ids: torch.Tensor, settings: Any, given: dict[str, Any]) -> BoundDecoder | None:
        """The decoder for a search of our own; None, and the reason kept, where transformers' loop is needed."""
        rest = {name: value for name, value in given.items() if name != cache_name()}
        cache = given.get(cache_name())
        self.left_to_transformers = (
            search.why_transformers(settings, rest, is_decoder=self.graphs.encoder is None)
            or ("it goes on from a cache" if cache is not None and cache.get_seq_length() else None)
            or ("its positions change with the length" if _longer_positions_from(self.config) is not None else None)
            or why_unbound(self.graphs)
        )
        if self.left_to_transformers is not None:
            return None
        encoded, mask = rest.get("encoder_outputs"), rest.get("attention_mask")
        if mask is None:  # transformers leaves out a mask that hides nothing
            length = ids.shape[1] if encoded is None else encoded.last_hidden_state.shape[1]
            mask = torch.ones(len(ids), length, dtype=torch.int64)
        cross = () if encoded is None else _for_beams(encoded.cross, len(ids))
        return BoundDecoder(self.graphs, mask, cross=cross, positions=rest.get("position_ids"))

    @classmethod
    def can_generate(cls) -> bool:
        return True

    @classmethod
    def is_remote_code(cls) -> bool:
        return False

    def get_experts_implementation(self) -> dict[str, str]:
        return {}

    def empty_cache(self) -> Any:
        """A cache of no tokens, of the kind that the forward pass fills."""
        return DynamicCache()

    def _prepare_cache_for_generation(
        self, generation_config: GenerationConfig, model_kwargs: dict[str, Any], *others: Any, **more: Any
    ) -> None:
        """Ours: with a sliding window transformers' cache would drop tokens that the graph's mask counts."""
        kind = generation_config.cache_implementation
        if kind not in (None, "dynamic"):
            raise CompressError(
                f"An exported model has a cache that grows with each token, not '{kind}'. Leave out cache_implementation."
            )
        if model_kwargs.get(cache_name()) is None and generation_config.use_cache is not False:
            model_kwargs[cache_name()] = self.empty_cache()
        else:
            super()._prepare_cache_for_generation(generation_config, model_kwargs, *others, **more)


class OnnxDecoder(OnnxGenerator):
    """A decoder, such as GPT-2 or Llama."""

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        use_cache: bool = True,
        **others: Any,
    ) -> CausalLMOutputWithPast:
        """As the torch model's: logits [batch, kept, vocabulary] and the cache with the new tokens.

        Raises CompressError where an argument is given that the graph does not read.
        """
        given = _cache_among(others)
        cache = self.empty_cache() if given is None else given
        new, past = input_ids.shape[1], cache.get_seq_length()
        if attention_mask is None:  # transformers leaves out a mask that hides nothing
            attention_mask = torch.ones(len(input_ids), past + new, dtype=torch.int64)
        if position_ids is not None:
            position_ids = position_ids.expand(len(input_ids), -1)
        if isinstance(logits_to_keep, int):
            logits_to_keep = torch.arange(new)[-logits_to_keep:]
        logits, present = self.graphs.step(
            input_ids,
            attention_mask,
            _contents(cache),
            position_ids=position_ids,
            kept=logits_to_keep,
        )
        filled = _fill(cache, present) if use_cache else None
        return CausalLMOutputWithPast(logits=logits, **{cache_name(): filled})

    @functools.wraps(
        GenerationMixin.prepare_inputs_for_generation
    )  # `generate()` reads from the signature what it may be given
    def prepare_inputs_for_generation(self, input_ids: torch.Tensor, **kwargs: Any) -> dict[str, Any]:
        """A Phi-3 with LongRoPE turns keys by other angles once a text is longer than those it was first trained on: as its
        torch model does there, the whole text is read again."""
        # transformers looks for `kwargs` by that name
        cache, switches_at = kwargs.get(cache_name()), _longer_positions_from(self.config)
        if cache is not None and switches_at is not None and cache.get_seq_length() <= switches_at < input_ids.shape[1]:
            kwargs[cache_name()] = self.empty_cache()
            kwargs["next_sequence_length"] = None
        prepared: dict[str, Any] = super().prepare_inputs_for_generation(input_ids, **kwargs)
        return prepared


def _longer_positions_from(config: Any) -> int | None:
    """The length of a text from which on a Phi-3 takes other angles; None where it has but one set of them."""
    rope = getattr(config, "rope_parameters", None) or {}
    if config.model_type != "phi3" or rope.get("rope_type") != "longrope":
        return None
    return int(config.original_max_position_embeddings)


@dataclass
class Encoded(ModelOutput):
    """What the encoder's graph gives once an input. cross: keys and values by layer; being no tensor it is left as it is
    when transformers repeats the rest for each beam, and repeated when the decoder first needs it."""

    last_hidden_state: torch.Tensor | None = None
    cross: Any = None


class OnnxEncoderDecoder(OnnxGenerator):
    """A sequence-to-sequence model, such as T5 or BART."""

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        encoder_outputs: Any = None,
        use_cache: bool = True,
        decoder_attention_mask: torch.Tensor | None = None,
        **others: Any,
    ) -> Seq2SeqLMOutput:
        """As the torch model's: logits [batch, new, vocabulary] and the cache with the new tokens.

        Raises CompressError where padding is given in the decoder's own tokens, which the graph cannot mask, or an argument
        that the graph does not read.
        """
        given = _cache_among(others)
        cache = self.empty_cache() if given is None else given
        if decoder_input_ids is None:
            raise CompressError("The decoder has no tokens to start from. Pass decoder_input_ids, or use generate().")
        if decoder_attention_mask is not None and not bool(decoder_attention_mask.all()):
            raise CompressError(
                "An exported sequence-to-sequence model cannot skip padding in decoder_input_ids. Give prefixes of equal "
                "length, or serve it with torch."
            )
        if encoder_outputs is None:
            encoder_outputs = self.get_encoder()(input_ids=input_ids, attention_mask=attention_mask)
        rows = len(decoder_input_ids)
        if attention_mask is None:
            attention_mask = torch.ones(encoder_outputs.last_hidden_state.shape[:2], dtype=torch.int64)
        if not len(cache.cross_attention_cache):
            cross = getattr(encoder_outputs, "cross", None)
            if cross is None:
                raise CompressError(
                    "encoder_outputs lack the cross-attention's keys and values. Give those of get_encoder() of this "
                    "export, which computes them with the states."
                )
            cross = _for_beams(cross, rows)
            _fill(cache.cross_attention_cache, cross)
            cache.is_updated = dict.fromkeys(range(len(cross)), True)
        logits, present = self.graphs.step(
            decoder_input_ids,
            attention_mask,
            _contents(cache.self_attention_cache),
            cross=_contents(cache.cross_attention_cache) or (),
        )
        _fill(cache.self_attention_cache, present)
        return Seq2SeqLMOutput(
            logits=logits,
            encoder_last_hidden_state=encoder_outputs.last_hidden_state,
            **{cache_name(): cache if use_cache else None},
        )

    def empty_cache(self) -> Any:
        return _CacheOfBeams()

    def get_encoder(self, modality: str | None = None) -> OnnxEncoder:
        return OnnxEncoder(self.graphs)


class OnnxEncoder:
    """The encoder on its own, as `generate()` calls it once before it decodes."""

    main_input_name = "input_ids"

    def __init__(self, graphs: GenerationSessions) -> None:
        self._graphs = graphs

    def __call__(self, **inputs: Any) -> Encoded:
        return self.forward(**inputs)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **unused: Any) -> Encoded:
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        return Encoded(*self._graphs.encode(input_ids, mask))


class _CacheOfBeams(EncoderDecoderCache):
    """Beams change places among those of one input only, which share its cross-attention: that need not be moved."""

    def __init__(self) -> None:
        super().__init__(DynamicCache(), DynamicCache())

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        self.self_attention_cache.reorder_cache(beam_idx)


def _cache_among(others: dict[str, Any]) -> Any:
    """The cache among a forward pass's further arguments, None where there is none.

    What the graph cannot read must not be left out without a word: a cache under another name was, when transformers renamed
    it, and every text was wrong.

    Raises CompressError where an argument is given that is neither a cache nor of no effect on the logits.
    """
    cache = others.pop(cache_name(), None)
    unread = sorted(name for name, value in others.items() if value is not None and name not in WITHOUT_EFFECT)
    if unread:
        raise CompressError(
            f"An exported model does not read '{unread[0]}', which transformers {transformers.__version__} gives it. "
            "Serve the model with torch, or install the version of transformers that this project is tested with."
        )
    return cache


def _for_beams(cross: KeysAndValues, rows: int) -> KeysAndValues:
    """The source's keys and values for each beam, where there are more rows than inputs."""
    beams = rows // len(cross[0][0])
    if beams == 1:
        return cross
    return [(keys.repeat_interleave(beams, dim=0), values.repeat_interleave(beams, dim=0)) for keys, values in cross]


def _contents(cache: DynamicCache) -> KeysAndValues | None:
    filled = [(layer.keys, layer.values) for layer in cache.layers if layer.is_initialized]
    return filled or None


def _fill(cache: DynamicCache, layers: KeysAndValues) -> DynamicCache:
    """Replaces the cache's content by these keys and values."""
    while len(cache.layers) < len(layers):
        cache.layers.append(DynamicLayer())
    for layer, (keys, values) in zip(cache.layers, layers, strict=True):
        layer.keys, layer.values = keys, values
        layer.dtype, layer.device, layer.is_initialized = keys.dtype, keys.device, True
    return cache
