"""Optimizers of torch for networks so small that the work around a step outweighs it.

The bits are those of torch. What is left out: the compiler is not told of optimizers,
since importing it takes as long as importing the rest of torch, and nobody is told of
steps, to which nobody listens.
"""

from __future__ import annotations

from inspect import unwrap

import torch

# What the fused loop is called without here.
UNUSUAL = ("amsgrad", "maximize", "capturable", "differentiable")
STATE = ("exp_avg", "exp_avg_sq", "step")


class Lean:
    """Mixin for optimizers."""

    add_param_group = unwrap(torch.optim.Optimizer.add_param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        if not set_to_none:
            super().zero_grad(False)
            return
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None


class FusedAdam(Lean):
    """Mixin for Adam in one loop over all weights that have a gradient.

    Lists of weights and moments are kept from step to step, as long as all have one.
    """

    _kept = None  # the state that the lists are of, and the lists
    _loop = None

    @torch.no_grad()
    def step(self, closure=None):
        """Take one step."""
        if closure is not None or not self._is_plain():
            return super().step(closure)
        for group, (weights, *moments, steps) in zip(self.param_groups, self._lists()):
            torch._foreach_add_(steps, 1)
            beta1, beta2 = group["betas"]
            self._loop(
                weights, [p.grad for p in weights], *moments, [], steps,
                amsgrad=False, lr=group["lr"], beta1=beta1, beta2=beta2,
                weight_decay=group["weight_decay"], eps=group["eps"],
                maximize=False, grad_scale=None, found_inf=None,
            )  # fmt: skip
        return None

    step.hooked = True  # nobody listens to the steps, which torch would announce

    def _is_plain(self) -> bool:
        groups = self.param_groups
        return all(g["fused"] and not any(g[k] for k in UNUSUAL) for g in groups)

    def _lists(self) -> list[tuple]:
        """Weights with gradients, their moments and counters, of every group."""
        groups = [group["params"] for group in self.param_groups]
        whole = all(p.grad is not None for group in groups for p in group)
        if whole and self._kept is not None and self._kept[0] is self.state:
            return self._kept[1]
        lists = []
        for group in groups:
            weights = [p for p in group if p.grad is not None]
            states = [self._state_of(p) for p in weights]
            lists.append((weights, *([s[name] for s in states] for name in STATE)))
        self._kept = (self.state, lists) if whole else None
        return lists

    def _state_of(self, p: torch.Tensor) -> dict[str, torch.Tensor]:
        state = self.state[p]
        if not state:
            zero = torch.zeros((), dtype=torch.float32, device=p.device)
            fresh = (torch.zeros_like(p), torch.zeros_like(p), zero)
            state.update(zip(STATE, fresh))
        return state


class Adam(FusedAdam, torch.optim.Adam):
    """Adam of torch."""

    _loop = staticmethod(torch._fused_adam_)


class AdamW(FusedAdam, torch.optim.AdamW):
    """AdamW of torch."""

    _loop = staticmethod(torch._fused_adamw_)
