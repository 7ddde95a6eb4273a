"""Adam for networks so small that the work around its one loop takes longer than it."""

from __future__ import annotations

import torch

# What the fused loop is called without here.
UNUSUAL = ("amsgrad", "maximize", "capturable", "differentiable")


class _Lean:
    """Mixin for fused optimizers of torch: the same bits, without bookkeeping.

    Lists of weights and moments are kept from step to step, as long as every weight has a
    gradient; else, and at first, torch's own step is taken.
    """

    _kept = None  # the state that the lists are of, and the lists
    _loop = None

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        if not set_to_none:
            super().zero_grad(False)
            return
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def step(self, closure=None):
        """Take one step."""
        lists = None if closure is not None else self._lists()
        if lists is None:
            return super().step(closure)
        with torch.no_grad():
            for group, (weights, *moments, steps) in zip(self.param_groups, lists):
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

    def _lists(self) -> list[tuple] | None:
        """Weights, moments and counters of every group; None where torch must look."""
        everything = [p for group in self.param_groups for p in group["params"]]
        if any(p.grad is None for p in everything):
            return None
        if self._kept is not None and self._kept[0] is self.state:
            return self._kept[1]
        plain = all(
            g["fused"] and not any(g[k] for k in UNUSUAL) for g in self.param_groups
        )
        if not plain or not all(self.state.get(p) for p in everything):
            return None
        names = ("exp_avg", "exp_avg_sq", "step")
        lists = [
            (
                group["params"],
                *([self.state[p][n] for p in group["params"]] for n in names),
            )
            for group in self.param_groups
        ]
        self._kept = (self.state, lists)
        return lists


class Adam(_Lean, torch.optim.Adam):
    """Fused Adam of torch."""

    _loop = staticmethod(torch._fused_adam_)


class AdamW(_Lean, torch.optim.AdamW):
    """Fused AdamW of torch."""

    _loop = staticmethod(torch._fused_adamw_)
