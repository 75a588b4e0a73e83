"""Robust statistics of training curves: pure functions on float64 arrays, no input or output.

Every function drops non-finite points first and takes arrays of any size, 0 included. `docs/statistics.md` says
what is computed and why these numbers. Positions in results are indices into the arrays as they were given.
"""

from runvet.statistics.basics import finite_points, finite_values, log_domain, mad, to_domain
from runvet.statistics.binning import Bins, bins
from runvet.statistics.clock import Speed, StepTimes, is_cumulative_clock, speed, step_times
from runvet.statistics.level import Constant, Flat, Near, bit_constant, flat_from_start, level_near, plateau_share
from runvet.statistics.noise import noise
from runvet.statistics.rank import Kendall, Slope, correlation, kendall, spearman, student_p, theil_sen
from runvet.statistics.replay import detrend, replayed
from runvet.statistics.rise import Rise, rising
from runvet.statistics.small import Overfit, SmallRise, best_index, improvement, overfit_small, rising_small
from runvet.statistics.spike import Spikes, spikes
from runvet.statistics.stepup import StepUp, never_regained
from runvet.statistics.window import window_edges

__all__ = [
    "Bins",
    "Constant",
    "Flat",
    "Kendall",
    "Near",
    "Overfit",
    "Rise",
    "Slope",
    "SmallRise",
    "Speed",
    "Spikes",
    "StepTimes",
    "StepUp",
    "best_index",
    "bins",
    "bit_constant",
    "correlation",
    "detrend",
    "finite_points",
    "finite_values",
    "flat_from_start",
    "improvement",
    "is_cumulative_clock",
    "kendall",
    "level_near",
    "log_domain",
    "mad",
    "never_regained",
    "noise",
    "overfit_small",
    "plateau_share",
    "replayed",
    "rising",
    "rising_small",
    "spearman",
    "speed",
    "spikes",
    "step_times",
    "student_p",
    "theil_sen",
    "to_domain",
    "window_edges",
]
