"""What the history of a training says about how it goes on: learning rate, best epoch, whether it is over.

Pure: a killed training reads its history back and goes on as it would have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from fkp_edge.errors import InputError
from fkp_edge.train.published.recipe import Fit

__all__ = ["Course", "Epoch", "read_history"]


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """One line of history.jsonl."""

    epoch: int
    """From 1."""
    seconds: float
    """It took, with its validation."""
    steps: int
    """Fewer than the other epochs' where the time was up."""
    learning_rate: float
    """At its end."""
    loss: float
    """Mean training loss."""
    val_mse_px2: float
    """Mean square error of the labelled validation coordinates, pixels squared."""
    val_mae_px: float
    """Their mean absolute error, pixels."""


@dataclass
class Course:
    """A training so far."""

    config: Fit
    minutes: float
    """Its share of the recipe's minutes; 0 is no limit."""
    epochs: list[Epoch] = field(default_factory=list)

    @property
    def best(self) -> Epoch | None:
        """The epoch with the least validation error."""
        return min(self.epochs, key=lambda e: e.val_mse_px2, default=None)

    @property
    def seconds(self) -> float:
        """Spent so far."""
        return sum(epoch.seconds for epoch in self.epochs)

    def why_over(self) -> str:
        """Why no epoch follows; empty where one does."""
        since_best = len(self.epochs) - self.best.epoch if self.best else 0
        if len(self.epochs) >= self.config.epochs:
            return f"all {self.config.epochs} epochs done"
        if self.minutes and self.seconds >= 60 * self.minutes:
            return f"its {self.minutes:g} minutes are over"
        if self.config.patience and since_best >= self.config.patience:
            return f"no better validation error in {since_best} epochs"
        return ""

    def learning_rate(self, epoch_share: float, epoch_seconds: float) -> float:
        """The rate when a share of the next epoch is done, so many seconds after its start."""
        start = self.config.learning_rate
        if self.config.schedule == "constant":
            return start
        if self.config.schedule == "plateau":
            return start * self.config.plateau_factor ** self._drops()
        done = (len(self.epochs) + epoch_share) / self.config.epochs
        if self.minutes:
            done = max(done, (self.seconds + epoch_seconds) / (60 * self.minutes))
        return start * (1 + math.cos(math.pi * min(done, 1.0))) / 2

    def _drops(self) -> int:
        """How often the rate was lowered: each time the error did not improve for `plateau_patience` epochs."""
        best, waited, drops = math.inf, 0, 0
        for epoch in self.epochs:
            if epoch.val_mse_px2 < best:
                best, waited = epoch.val_mse_px2, 0
                continue
            waited += 1
            if waited == self.config.plateau_patience:
                drops, waited = drops + 1, 0
        return drops


def read_history(path: Path, upto: int) -> list[Epoch]:
    """The first `upto` epochs of a history.jsonl; what stands after them was not checkpointed and is done again.

    Raises:
        InputError: the file is damaged.
    """
    try:
        lines = path.read_bytes().splitlines()[:upto] if path.exists() else []
        epochs = [msgspec.json.decode(line, type=Epoch) for line in lines]
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError(f"{path} is damaged ({error}); name another --out") from error
    if len(epochs) != upto:
        raise InputError(f"{path} has {len(epochs)} epochs, its checkpoint {upto}; name another --out")
    return epochs
