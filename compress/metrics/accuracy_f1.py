"""The mean of accuracy and F1, 0..1, as GLUE's leaderboard scores MRPC and QQP."""

from __future__ import annotations

from compress.metrics.accuracy import METRIC as ACCURACY
from compress.metrics.f1 import METRIC as F1
from compress.metrics.metric import mean_of_two

METRIC = mean_of_two("accuracy_f1", "mean of accuracy and F1", ACCURACY, F1)
