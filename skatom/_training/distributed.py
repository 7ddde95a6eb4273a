"""Training in several processes, each with a share of every batch."""

from __future__ import annotations

import torch
from skorch.callbacks import Callback
from torch import distributed


def share_of_this_process() -> tuple[int, int]:
    """Give (k, n): this is process k of n, as accelerate or torchrun started them."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


class MeanGradients(Callback):
    """Give every process the gradient of the whole batch before the step.

    All processes begin with the same weights, split every batch among them and take the
    same steps, so their weights stay the same. Structures of a share are averaged, so
    its gradient counts in proportion to their number.
    """

    @torch.no_grad()
    def on_grad_computed(self, net, named_parameters=(), batch=None, **kwargs):
        """Average gradients over the processes."""
        n = share_of_this_process()[1]
        if n == 1:
            return
        device = next(net.module_.parameters()).device
        count = torch.tensor([float(len(batch[1]))], device=device)
        total = count.clone()
        distributed.all_reduce(total)
        for _, p in named_parameters:
            if not p.requires_grad:
                continue
            if p.grad is None:  # an element that this share lacks
                p.grad = torch.zeros_like(p)
            p.grad.mul_(count.item())
            distributed.all_reduce(p.grad)
            p.grad.div_(total.item())

    def on_epoch_end(self, net, **kwargs):
        """Let all processes see one training loss, which schedules may look at."""
        n = share_of_this_process()[1]
        if n > 1:
            loss = torch.tensor([net.history[-1, "train_loss"]], device=net.device)
            distributed.all_reduce(loss)
            net.history.record("train_loss", loss.item() / n)
