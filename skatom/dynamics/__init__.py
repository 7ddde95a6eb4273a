"""Molecular dynamics with a fitted potential."""

from skatom.dynamics.constant_energy import Trajectory, run_nve

__all__ = ["Trajectory", "run_nve"]
