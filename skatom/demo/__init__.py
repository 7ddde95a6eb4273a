"""The main job: fit a potential on shipped data, judge it, and run dynamics with it."""

from skatom.demo._dynamics import Trajectory
from skatom.demo._job import build_potential, run_demo
from skatom.demo._measure import Errors, Intervals

__all__ = ["Errors", "Intervals", "Trajectory", "build_potential", "run_demo"]
