"""ALBERT: one set of weights, applied as often as the config says."""

from __future__ import annotations

from compress.architectures.architecture import Architecture

ARCHITECTURE = Architecture(model_types=("albert",), layers="albert.encoder.albert_layer_groups", shares_layers=True)
