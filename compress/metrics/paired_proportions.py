"""Two shares of right answers on the same examples: the interval of their difference, and McNemar's test.

Only the discordant examples count, those that only one of the two has right.
"""

from __future__ import annotations

import math

from compress.metrics.intervals import LEVEL, Interval


def score_interval(only_first: int, only_second: int, examples: int, *, level: float = LEVEL) -> Interval:
    """Tango's score interval of the first share minus the second, -1..1 (Statistics in Medicine 17, 1998).

    Its ends are the differences at which the score statistic equals the normal quantile of the level. It has a
    width also where no example is discordant. Newcombe's method 10 (ibid.) covers more than its level where few are:
    99 % instead of 95 % of cases at 5 discordant examples of 100; Tango's covers 93.4 % to 99.9 % from 100 to 5,000
    examples that agree on 80 to 99 %, and 93.4 % to 97.4 % where ten or more are discordant.

    Args:
        only_first: how many examples only the first has right.
        only_second: how many only the second has.
        examples: how many there are in all; of none nothing is known.
        level: 0..1.

    >>> tuple(round(end, 3) for end in score_interval(only_first=1, only_second=7, examples=21))
    (-0.517, -0.026)
    """
    if examples == 0:
        return -1.0, 1.0
    from scipy.optimize import brentq
    from scipy.stats import norm

    quantile = float(norm.ppf((1 + level) / 2))
    seen = (only_first - only_second) / examples

    def beyond(difference: float, sign: int) -> float:
        return sign * _score(only_first, only_second, examples, difference) - quantile

    low = -1.0 if seen == -1 else brentq(beyond, -1 + 1e-12, seen, args=(1,), xtol=1e-12)
    high = 1.0 if seen == 1 else brentq(beyond, seen, 1 - 1e-12, args=(-1,), xtol=1e-12)
    return float(low), float(high)


def _score(only_first: int, only_second: int, examples: int, difference: float) -> float:
    """Tango's score statistic of a difference: standard normal if this is the true one.

    The variance is that of the restricted maximum likelihood estimate of the second discordant share, the greater root of
    a quadratic equation.
    """
    net = only_first - only_second - examples * difference
    linear = (2 * examples - only_first + only_second) * difference - only_first - only_second
    product = only_second * difference * (1 - difference)
    share = (math.sqrt(max(linear * linear + 8 * examples * product, 0.0)) - linear) / (4 * examples)
    variance = examples * (2 * share + difference * (1 - difference))
    return 0.0 if net == 0 else net / math.sqrt(max(variance, 1e-300))


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact test, two-sided: the p-value of so uneven a split of the examples that only one of two got right.

    Under no difference each such example falls to either side like a fair coin, so p is twice the smaller tail of
    Binomial(n, 1/2), at most 1 (McNemar, Psychometrika 12, 1947; exact form: Fagerland et al., BMC Med. Res. Methodol.
    13:91, 2013).

    >>> round(mcnemar(6, 16), 3)
    0.052
    >>> mcnemar(0, 0)
    1.0
    """
    from scipy.stats import binom

    return float(min(1.0, 2 * binom.cdf(min(only_first, only_second), only_first + only_second, 0.5)))
