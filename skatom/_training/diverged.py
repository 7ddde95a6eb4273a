"""The error of a training that does not converge."""

from __future__ import annotations


class TrainingDivergedError(RuntimeError):
    """Raised when the loss becomes NaN or infinite; the estimator is left unfitted.

    Attributes
    ----------
    epoch : int
        Epoch in which it happened, from 1.
    last_loss : float or None
        Last finite loss of a batch, None if there was none.
    """

    def __init__(self, epoch: int, last_loss: float | None):
        super().__init__(epoch, last_loss)  # what pickle passes on
        self.epoch = epoch
        self.last_loss = last_loss

    def __str__(self) -> str:
        last = "none" if self.last_loss is None else f"{self.last_loss:.3g}"
        return (
            f"Training diverged: the loss became NaN or infinite in epoch {self.epoch} "
            f"(last finite loss: {last}). Lower lr, put PerAtom(StandardScaler()) in front "
            "of the model, or look for wrong labels."
        )
