"""Rates, intervals, tests and rank correlations: the one place that divides. Knows nothing of prompts, models or data sets."""

from backfire.statistics.intervals import Z95, clustered_wilson, paired_difference, student_quantile, wilson
from backfire.statistics.rates import ClusteredRate, Rate, clustered_rate_of, rate_of

__all__ = [
    "Z95",
    "ClusteredRate",
    "Rate",
    "clustered_rate_of",
    "clustered_wilson",
    "paired_difference",
    "rate_of",
    "student_quantile",
    "wilson",
]
