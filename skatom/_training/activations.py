"""Activations of torch by name, and which of them may be differentiated twice."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from functools import cache

import torch
from torch import Tensor, nn

from skatom._validation import closest

# Kinks are looked for on a grid that all of torch's are inside of.
REACH, STEP = 8.0, 1 / 64
# A second derivative that changes more than this from step to step has a jump: smooth
# ones change by 0.03 at most, those with a jump by 0.99 and more.
JUMP = 0.15
# Its slopes are drawn in training, from the global generator.
RANDOM = {"rrelu"}


class ShiftedSoftplus(nn.Module):
    """Map x to ln((1 + exp(x)) / 2): smooth everywhere, and zero at zero."""

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate, shape as `x`."""
        return nn.functional.softplus(x) - math.log(2.0)


class Hardsigmoid(nn.Module):
    """That of torch, which torch itself cannot differentiate twice."""

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate, shape as `x`."""
        return nn.functional.relu6(x + 3) / 6


def make_activation(name: str, dtype: torch.dtype | None = None) -> nn.Module:
    """Make the activation of a name, its weights (if any) in a type."""
    return activations()[name]().to(dtype)


@cache
def activations() -> dict[str, type[nn.Module]]:
    """Find the activations of torch that map numbers one by one and need no arguments."""
    functions = [name for name in dir(nn.functional) if name.strip("_") == name]
    spelled = {name.replace("_", ""): name for name in functions}
    found = {
        spelled[kind.lower()]: getattr(nn, kind)
        for kind in nn.modules.activation.__all__
        if kind.lower() in spelled and _is_elementwise(getattr(nn, kind))
    }
    own = {"hardsigmoid": Hardsigmoid, "shifted_softplus": ShiftedSoftplus}
    return {k: v for k, v in (found | own).items() if k not in RANDOM}


def check_activations(names: Iterable[str]) -> None:
    """Refuse names of no activation.

    Parameters
    ----------
    names : iterable of str
    """
    known = activations()
    for name in names:
        if name not in known:
            raise ValueError(
                f"activation is {name!r}, which is none of {', '.join(sorted(known))}."
                + closest(str(name), known)
            )


def refuse_kinks(names: Iterable[str]) -> None:
    """Refuse activations that training on forces cannot differentiate twice.

    Parameters
    ----------
    names : iterable of str
    """
    for name in names:
        if not is_smooth(name):
            smooth = ", ".join(n for n in sorted(activations()) if is_smooth(n))
            raise ValueError(
                f"activation={name!r} has kinks, and training on forces or stress needs "
                f"continuous second derivatives: choose one of {smooth}, or train on "
                "energies alone with forces=None and stress=None."
            )


@cache
def is_smooth(name: str) -> bool:
    """Look for jumps in the first and second derivative of an activation."""
    x = torch.arange(-REACH, REACH, STEP, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        y = make_activation(name, x.dtype)(x)
        (slopes,) = torch.autograd.grad(y.sum(), x)
    curvatures = slopes.diff() / STEP
    return bool(curvatures.diff().abs().max() < JUMP)


def _is_elementwise(kind: type[nn.Module]) -> bool:
    """Compare a matrix with its entries, one by one."""
    x = torch.linspace(-2, 2, 6, dtype=torch.float64).reshape(2, 3)
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            function = kind().to(x.dtype).eval()
            whole = function(x)
            single = [function(number.reshape(1, 1)) for number in x.flatten()]
    except (TypeError, ValueError, RuntimeError):  # arguments, or other shapes
        return False
    return whole.shape == x.shape and torch.allclose(
        whole, torch.cat(single).reshape(x.shape)
    )
