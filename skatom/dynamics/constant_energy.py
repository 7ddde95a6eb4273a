"""Molecular dynamics at constant energy, and the drift of that energy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.velocitydistribution import Stationary, ZeroRotation
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from skatom.calculator import SkatomCalculator


@dataclass(frozen=True)
class Trajectory:
    """Record of a run at constant energy.

    Attributes
    ----------
    picoseconds : float
    time_step : float
        In fs.
    n_steps : int
    temperature : float
        Mean temperature in K.
    kinetic_energy : float
        Mean kinetic energy in eV.
    drift : float
        Change of the total energy over the run along a straight line, in eV.
    fluctuation : float
        Standard deviation of the total energy about that line, in eV.
    flagged : float
        Share of steps with an extrapolation grade above 1.
    largest_grade : float
    """

    picoseconds: float
    time_step: float
    n_steps: int
    temperature: float
    kinetic_energy: float
    drift: float
    fluctuation: float
    flagged: float
    largest_grade: float

    @property
    def relative_drift(self) -> float:
        """Size of the drift as a share of the mean kinetic energy."""
        return abs(self.drift) / self.kinetic_energy


def run_nve(
    atoms: Atoms,
    calculator: SkatomCalculator,
    *,
    temperature: float,
    picoseconds: float,
    time_step: float = 0.5,
    random_state: int = 0,
) -> tuple[Trajectory, list[Atoms]]:
    """Relax a molecule and move it at constant energy.

    Parameters
    ----------
    atoms : ase.Atoms
        Where to start; it is not changed.
    calculator : SkatomCalculator
        With something that grades extrapolation.
    temperature : float
        Temperature to expect in K. The relaxed molecule gets velocities of twice that
        temperature, half of which turns into potential energy.
    picoseconds : float
    time_step : float, default=0.5
        In fs.
    random_state : int, default=0
        Draws the velocities.

    Returns
    -------
    trajectory : Trajectory
    frames : list of ase.Atoms
        A structure every 10 fs, with energy and forces.
    """
    atoms = atoms.copy()
    atoms.calc = calculator
    BFGS(atoms, logfile=None).run(fmax=0.02, steps=200)
    _heat(atoms, 2 * temperature, np.random.default_rng(random_state))
    n_steps = round(1000 * picoseconds / time_step)
    kinetic, total, grades, frames = [], [], [], []

    def record() -> None:
        kinetic.append(atoms.get_kinetic_energy())
        total.append(atoms.get_total_energy())
        grades.append(calculator.get_property("extrapolation", atoms))

    dynamics = VelocityVerlet(atoms, timestep=time_step * units.fs)
    dynamics.attach(record)
    dynamics.attach(
        lambda: frames.append(_snapshot(atoms)), interval=round(10 / time_step)
    )
    dynamics.run(n_steps)
    n_free = 3 * len(atoms) - 6  # neither the centre nor the axes move
    mean_kinetic = float(np.mean(kinetic))
    time = np.linspace(0.0, 1.0, len(total))
    slope, start = np.polyfit(time, total, 1)
    return (
        Trajectory(
            picoseconds=picoseconds,
            time_step=time_step,
            n_steps=n_steps,
            temperature=2 * mean_kinetic / (n_free * units.kB),
            kinetic_energy=mean_kinetic,
            drift=float(slope),
            fluctuation=float(np.std(total - (start + slope * time))),
            flagged=float(np.mean(np.array(grades) > 1.0)),
            largest_grade=float(np.max(grades)),
        ),
        frames,
    )


def _heat(atoms: Atoms, temperature: float, rng: np.random.Generator) -> None:
    """Draw momenta from the distribution of Maxwell and Boltzmann, none of the whole."""
    width = np.sqrt(atoms.get_masses() * units.kB * temperature)
    atoms.set_momenta(rng.standard_normal((len(atoms), 3)) * width[:, None])
    Stationary(atoms)
    ZeroRotation(atoms)


def _snapshot(atoms: Atoms) -> Atoms:
    copy = atoms.copy()
    results = {name: atoms.calc.results[name] for name in ("energy", "forces")}
    copy.calc = SinglePointCalculator(copy, **results)
    return copy
