from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fkp_edge.errors import InputError
from fkp_edge.train.published.recipe import Fit
from fkp_edge.train.published.schedule import Course, Epoch, read_history


def course(*errors: float, minutes: float = 0.0, **fit: object) -> Course:
    """A training whose epochs took 30 s each and had these validation errors."""
    epochs = [
        Epoch(epoch=i, seconds=30, steps=5, learning_rate=1e-3, loss=1, val_mse_px2=error, val_mae_px=1)
        for i, error in enumerate(errors, 1)
    ]
    return Course(Fit(**fit), minutes, epochs)


def test_the_best_epoch_is_the_first_with_the_least_error():
    assert course(4, 2, 3, 2).best.epoch == 2


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (course(epochs=1), ""),
        (course(5, 4, epochs=2), "all 2 epochs done"),
        (course(5, 4, minutes=1), "its 1 minutes are over"),
        (course(5, 4, minutes=1.1), ""),
        (course(5, 6, 7, patience=2), "no better validation error in 2 epochs"),
        (course(5, 6, 4, patience=2), ""),
        (course(5, 6, 7, 8, patience=0), ""),
    ],
)
def test_when_it_is_over(made: Course, reason: str):
    assert made.why_over() == reason


def test_the_rate_falls_at_each_plateau():
    fit = {"learning_rate": 1.0, "plateau_patience": 2, "plateau_factor": 0.5}
    errors = [5, 6, 6, 4, 5, 5, 5, 5]
    rates = [course(*errors[:n], **fit).learning_rate(0, 0) for n in range(len(errors) + 1)]
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_cosine_goes_by_epochs_or_minutes_whichever_is_further():
    fit = {"learning_rate": 1.0, "schedule": "cosine", "epochs": 4}
    assert course(5, **fit).learning_rate(1.0, 30) == pytest.approx(0.5)
    assert course(5, minutes=1, **fit).learning_rate(0.5, 30) == pytest.approx(0)
    assert course(schedule="constant").learning_rate(0.9, 100) == 1e-3


def write(path: Path, made: Course) -> Path:
    path.write_bytes(b"".join(msgspec.json.encode(epoch) + b"\n" for epoch in made.epochs))
    return path


def test_history_comes_back_up_to_the_checkpoint(tmp_path: Path):
    path = write(tmp_path / "h.jsonl", course(3, 2, 1))
    assert read_history(path, 2) == course(3, 2, 1).epochs[:2]
    assert read_history(tmp_path / "none", 0) == []


def test_damaged_history_is_named(tmp_path: Path):
    path = write(tmp_path / "h.jsonl", course(3))
    with pytest.raises(InputError, match=r"h\.jsonl has 1 epochs, its checkpoint 2; name another --out"):
        read_history(path, 2)
    path.write_text("{}\n")
    with pytest.raises(InputError, match=r"h\.jsonl is damaged"):
        read_history(path, 1)
