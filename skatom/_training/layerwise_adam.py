"""Adam in the eigenbasis of the gradients of each layer."""

from __future__ import annotations

import torch
from torch import Tensor

from skatom._training.lean_optimizers import Lean


class LayerwiseAdam(Lean, torch.optim.Optimizer):
    """SOAP [1]_: Adam along the principal directions of the gradients of each layer.

    For a matrix of weights with gradients G, running means of G Gᵀ and Gᵀ G are kept;
    their eigenvectors, refreshed now and then by one step of orthogonal iteration, are
    the axes in which Adam scales the step. Directions of features that hardly vary are
    then learned as fast as those that vary much, without whitening the features.
    Matrices of one shape (the same layer of several networks) are treated as a stack.

    Parameters
    ----------
    params : iterable of Tensor
    lr : float
    betas : (float, float)
        Memory of the mean gradient, and of squares and directions.
    eps : float
    floor : float
        Directions whose gradients are smaller than this share of the root mean square
        one of their matrix are not scaled up to full steps: in what the training set
        hardly varies, rounding would decide.
    weight_decay : float
        Decoupled from the gradient.
    frequency : int
        Steps between two refreshments of the axes.
    largest : int
        A side of a matrix that is longer keeps its own axes.

    References
    ----------
    .. [1] N. Vyas, D. Morwani, R. Zhao, I. Shapira, D. Brandfonbrener, L. Janson and
       S. Kakade, arXiv:2409.11321 (2024), algorithm 3.
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        betas=(0.95, 0.95),
        eps=1e-8,
        floor=1e-3,
        weight_decay=0.0,
        frequency=10,
        largest=1024,
    ):
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "floor": floor,
            "weight_decay": weight_decay, "frequency": frequency, "largest": largest,
        }  # fmt: skip
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure=None):
        """Take a step.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss and the gradients.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for options in self.param_groups:
            stacks: dict[tuple, list[Tensor]] = {}
            for p in options["params"]:
                stacks.setdefault(tuple(p.shape), []).append(p)
            for stack in stacks.values():
                self._step_stack(stack, options)
        return loss

    def _step_stack(self, stack: list[Tensor], options: dict) -> None:
        """Move all tensors of one shape that have a gradient."""
        rows = [k for k, p in enumerate(stack) if p.grad is not None]
        if not rows:
            return
        G = torch.stack([stack[k].grad for k in rows])
        kept = self.state[stack[0]]  # one state for the stack
        if not kept:
            kept.update(_new_state(stack, options["largest"]))
        whole = len(rows) == len(stack)
        state = kept if whole else {name: t[rows] for name, t in kept.items()}
        update = _update(G, state, options)
        if not whole:
            for name, value in state.items():
                kept[name][rows] = value
        shrunk = 1 - options["lr"] * options["weight_decay"]
        for k, step in zip(rows, update):
            stack[k].mul_(shrunk).add_(step, alpha=-options["lr"])


def _new_state(stack: list[Tensor], largest: int) -> dict[str, Tensor]:
    p, n = stack[0], len(stack)
    state = {
        "step": p.new_zeros(n, *[1] * p.ndim),
        "mean": p.new_zeros(n, *p.shape),
        "square": p.new_zeros(n, *p.shape),
    }
    if p.ndim == 2 and min(p.shape) > 1:
        for side, size in zip(("left", "right"), p.shape):
            if size <= largest:
                state[side] = p.new_zeros(n, size, size)
                state[f"{side}_axes"] = torch.eye(size).to(p).repeat(n, 1, 1)
    return state


def _update(G: Tensor, state: dict[str, Tensor], options: dict) -> Tensor:
    """Direction of the step for a stack of gradients; the state moves on in place."""
    first, second = options["betas"]
    state["step"] += 1
    state["mean"].lerp_(G, 1 - first)
    for side, product in (("left", lambda: G @ G.mT), ("right", lambda: G.mT @ G)):
        if side in state:
            # the first gradient counts fully
            weight = torch.where(state["step"] == 1, 1.0, 1 - second).to(G)
            state[side].lerp_(product(), weight)
            _turn_axes(side, state, options["frequency"])
    rotated = _rotate(G, state)
    state["square"].lerp_(rotated.square(), 1 - second)
    mean = _rotate(state["mean"], state) / (1 - first ** state["step"])
    root = (state["square"] / (1 - second ** state["step"])).sqrt()
    whole = tuple(range(1, G.ndim))
    floor = options["floor"] * root.square().mean(whole, keepdim=True).sqrt()
    return _rotate(mean / (root + floor + options["eps"]), state, back=True)


def _turn_axes(side: str, state: dict[str, Tensor], frequency: int) -> None:
    """Bring the axes nearer to the eigenvectors, for rows whose turn it is."""
    step = state["step"][:, 0, 0]
    first, due = step == 1, (step > 1) & (step % frequency == 0)
    axes = state[f"{side}_axes"]
    if not (first | due).any() or not torch.isfinite(state[side]).all():
        return  # where the loss is not finite either, others report it
    if first.any():
        # few atoms leave many eigenvalues at zero, where single precision may fail
        axes[first] = torch.linalg.eigh(state[side][first].double())[1].to(axes)
    if due.any():
        axes[due] = torch.linalg.qr(state[side][due] @ axes[due])[0]


def _rotate(x: Tensor, state: dict[str, Tensor], back: bool = False) -> Tensor:
    """Express a stack of matrices in the axes, or bring it back from there."""
    if "left_axes" in state:
        Q = state["left_axes"]
        x = (Q if back else Q.mT) @ x
    if "right_axes" in state:
        Q = state["right_axes"]
        x = x @ (Q.mT if back else Q)
    return x
