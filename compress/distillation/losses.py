"""The losses of layers, each a small function with its source; those of answers (soft targets, labels) are in
`compress.tasks.kinds.losses`, and the whole loss of a training is put together in `compress.distillation.objective`.

All of them compute in fp32, whatever the autocast (in fp64 where given fp64), let no gradient into the teacher, and are
means: over the real tokens of each row where there are tokens, then over the rows. So a row counts the same whatever
batch it stands in, as in MiniLMv2's equation 5, and a batch in parts (accumulated, or on several processes) is the batch.
`mask` says which tokens count, [batch, tokens]: a batch's attention mask, 0 or False at padding, or, in a decoder, the tokens
that a label is predicted at. `seen` says which tokens each of them attends to, [batch, tokens, tokens], boolean; None stands
for all that count, as in an encoder.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from compress.core.errors import CompressError
from compress.tasks.kinds.losses import in_fp32


def hidden_mse(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """The mean squared difference of hidden states, over real tokens and their elements.

    Jiao et al. 2020, "TinyBERT: Distilling BERT for Natural Language Understanding", equation 8; of the embeddings'
    outputs it is equation 9. Where widths differ, project the student first (`projections`).

    Args:
        student: hidden states, [batch, tokens, width].
        teacher: the same shape.
    """
    difference = in_fp32(student) - in_fp32(teacher.detach())
    return _mean(difference.square().mean(-1), mask)


def hidden_cosine(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """One minus the cosine between hidden states, the mean over real tokens.

    Sanh et al. 2019, "DistilBERT, a distilled version of BERT", section 2, who take the last hidden states.

    Args:
        student: hidden states, [batch, tokens, width].
        teacher: the same shape.

    Returns:
        A scalar from 0 to 2.
    """
    return _mean(1 - F.cosine_similarity(in_fp32(student), in_fp32(teacher.detach()), dim=-1), mask)


def patient(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """The squared distance between the first tokens' hidden states, each divided by its length; the mean over the batch.

    Sun et al. 2019, "Patient Knowledge Distillation for BERT Model Compression", equation 7, of one pair of layers.
    The first token is the one that the classifier reads, and is never padding: the mask is not needed.

    Args:
        student: hidden states, [batch, tokens, width].
        teacher: the same shape.

    Returns:
        A scalar from 0 to 4.
    """
    ours = F.normalize(in_fp32(student[:, 0]), dim=-1)
    theirs = F.normalize(in_fp32(teacher[:, 0].detach()), dim=-1)
    return (ours - theirs).square().sum(-1).mean()


def normalized_mse(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """The distance of `patient` at each token, the mean over real tokens: for models that predict at each of them, not at the
    first one alone.

    Args:
        student: hidden states, [batch, tokens, width].
        teacher: the same shape.

    Returns:
        A scalar from 0 to 4.
    """
    ours, theirs = (F.normalize(in_fp32(one), dim=-1) for one in (student, teacher.detach()))
    return _mean((ours - theirs).square().sum(-1), mask)


def attention_scores(query: Tensor, key: Tensor, heads: int, *, scaled: bool = True) -> Tensor:
    """The attention's scores before the softmax, `Q K^T / sqrt(d)` in each head.

    They are those of the content alone. What some families add or do besides is not part of them: the position biases of
    MPNet and T5, the disentangled positions of DeBERTa (and its other scale), rotary positions, local windows, the norms of
    each head in Qwen3 and Gemma 3 (and its other scale).

    Args:
        query: outputs of the query module, [batch, tokens, heads * d].
        key: outputs of the key module, the same shape; or narrower, where several heads of queries share one of keys
            (grouped-query attention: Ainslie et al. 2023).
        scaled: whether the model divides by `sqrt(d)`; T5 does not.

    Returns:
        [batch, heads, tokens, tokens], keys last.
    """
    queries = _split(query, heads)
    keys = _split(key, key.shape[-1] // queries.shape[-1])
    if keys.shape[1] != heads:
        keys = keys.repeat_interleave(heads // keys.shape[1], dim=1)
    return _products(queries, keys, scaled=scaled)


def attention_mse(student: Tensor, teacher: Tensor, mask: Tensor, seen: Tensor | None = None) -> Tensor:
    """The mean squared difference of attention scores before the softmax, over heads and pairs of real tokens.

    Jiao et al. 2020, "TinyBERT", equation 7, who found the scores to teach faster than their softmax. Where the numbers
    of heads differ, each side's mean over its heads is compared.

    Args:
        student: `attention_scores`, [batch, heads, tokens, tokens].
        teacher: the same, with any number of heads.
    """
    ours, theirs = in_fp32(student), in_fp32(teacher.detach())
    if ours.shape[1] != theirs.shape[1]:
        ours, theirs = ours.mean(1, keepdim=True), theirs.mean(1, keepdim=True)
    return _mean((ours - theirs).square().mean(1), mask[:, :, None].bool() & _attended(mask, seen))


def attention_kl(student: Tensor, teacher: Tensor, mask: Tensor, seen: Tensor | None = None) -> Tensor:
    """KL(teacher || student) of attention probabilities, the mean over heads and real tokens; padding gets no attention.

    Wang et al. 2020, "MiniLM: Deep Self-Attention Distillation", section 3.1. Where the numbers of heads differ, each
    side's mean map over its heads is compared.

    Args:
        student: `attention_scores`, [batch, heads, tokens, tokens].
        teacher: the same, with any number of heads.
    """
    attended = _attended(mask, seen)
    ours, theirs = _log_map(student, attended), _log_map(teacher.detach(), attended)
    if ours.shape[1] != theirs.shape[1]:
        ours, theirs = (
            torch.logsumexp(one, 1, keepdim=True) - math.log(one.shape[1])  # the log of the mean over heads
            for one in (ours, theirs)
        )
    by_query = F.kl_div(ours, theirs, reduction="none", log_target=True).sum(-1)
    return _mean(by_query.mean(1), mask)


def relation_kl(student: Tensor, teacher: Tensor, mask: Tensor, heads: int, seen: Tensor | None = None) -> Tensor:
    """KL(teacher || student) of self-attention relations, the mean over relation heads and real tokens.

    Wang et al. 2021, "MiniLMv2: Multi-Head Self-Attention Relation Distillation", equations 4 to 6, of one of queries,
    keys and values: each is cut into relation heads of width d_r, whose relations are `softmax(X X^T / sqrt(d_r))`. So
    neither the widths nor the numbers of attention heads need to agree.

    Args:
        student: queries, keys or values, [batch, tokens, width].
        teacher: the same of the teacher, of any width.
        heads: the number of relation heads; it divides both widths.

    Raises:
        CompressError: it does not.
    """
    widths = student.shape[-1], teacher.shape[-1]
    if heads < 1 or any(width % heads for width in widths):
        both = math.gcd(*widths)
        possible = ", ".join(str(count) for count in range(1, both + 1) if both % count == 0)
        raise CompressError(
            f"{heads} relation heads do not divide the widths {widths[0]} (student) and {widths[1]} (teacher). "
            f"Set relation_heads to one of {possible}."
        )
    ours, theirs = (_split(one, heads) for one in (student, teacher))
    return attention_kl(_products(ours, ours), _products(theirs, theirs), mask, seen)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean over the rows of each row's mean where the mask is not 0; both have one shape, [batch, ...]."""
    real = mask.bool().flatten(1)
    by_row = values.flatten(1).masked_fill(~real, 0).sum(1) / real.sum(1).clamp(min=1)
    return by_row.mean()


def _split(values: Tensor, heads: int) -> Tensor:
    """[batch, tokens, heads * d] -> [batch, heads, tokens, d], as the models themselves cut it."""
    return in_fp32(values).unflatten(-1, (heads, -1)).transpose(1, 2)


def _products(left: Tensor, right: Tensor, *, scaled: bool = True) -> Tensor:
    """`left right^T / sqrt(d)`; autocast is off here, since it would round the products to 16 bits."""
    with torch.autocast(left.device.type, enabled=False):
        found = left @ right.transpose(-1, -2)
        return found / math.sqrt(left.shape[-1]) if scaled else found


def _attended(mask: Tensor, seen: Tensor | None) -> Tensor:
    """Which tokens each token attends to, [batch, tokens or 1, tokens]."""
    return mask.bool()[:, None, :] if seen is None else seen


def _log_map(products: Tensor, attended: Tensor) -> Tensor:
    """The log of the softmax over the keys attended to. Of others it is very low but finite: minus infinity times 0 is no
    number."""
    found = in_fp32(products)
    return F.log_softmax(found.masked_fill(~attended[:, None], torch.finfo(found.dtype).min), dim=-1)
