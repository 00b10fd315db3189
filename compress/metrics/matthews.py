"""Matthews correlation of predicted and right classes, -1..1, as GLUE scores CoLA."""

from __future__ import annotations

import numpy

from compress.metrics.metric import Metric, Undefined, Values, class_ids


def matthews(predictions: Values, references: Values) -> float:
    """The coefficient of B. W. Matthews (1975), for any number of classes (Gorodkin 2004).

    A model that gives every example the same class has 0/0 here. The GLUE server's scorer (scikit-learn) calls that 0,
    the limit of a guess that knows nothing, and so do we: it is a real result of a collapsed model, and the worst useful
    one. References of one class only make it undefined: no prediction could score.
    """
    from sklearn.metrics import matthews_corrcoef

    predicted, right = class_ids(predictions, references)
    if numpy.unique(right).size < 2:
        raise Undefined(f"All {right.size} references are of class {right[0]}, so Matthews correlation does not exist.")
    return float(matthews_corrcoef(right, predicted))


METRIC = Metric(name="matthews", kind="classification", score=matthews, unit="coefficient")
