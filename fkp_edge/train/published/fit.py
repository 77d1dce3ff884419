"""Fits one network on rows: checkpoints each epoch, keeps the best weights, stops when its course says so."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fkp_edge.core.files import write_whole
from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.keypoints import Points, Schema
from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.train.augment import mirror
from fkp_edge.train.backend import keras, tf
from fkp_edge.train.batches import ahead
from fkp_edge.train.fit import append_line, restore_newest
from fkp_edge.train.networks import keypoint_loss
from fkp_edge.train.published.recipe import Augment, PublishedRecipe
from fkp_edge.train.published.rows import pixels_of, units_of
from fkp_edge.train.published.schedule import Course, Epoch, read_history
from fkp_edge.train.recipe import Loss

__all__ = ["NetworkFit", "Step", "augmented", "batches", "brightened", "moved", "predict_units"]

Grey = NDArray[np.uint8]


def augmented(
    pixels: Grey, units: Points, schema: Schema, rng: np.random.Generator, config: Augment
) -> tuple[Grey, Points]:
    """A picture (96, 96) and its points (K, 2) in crop units, changed at random as `config` says."""
    if config.shift_px or config.roll_deg:
        shift = rng.uniform(-config.shift_px, config.shift_px, 2)
        pixels, units = moved(pixels, units, shift, rng.uniform(-config.roll_deg, config.roll_deg))
    if rng.random() < config.flip_share:
        pixels, units = mirror(pixels, units, schema)
    if rng.random() < config.bright_share:
        pixels = brightened(pixels, rng.uniform(*config.brightness))
    return pixels, units


def moved(pixels: Grey, units: Points, shift_px: NDArray[np.floating], roll_deg: float) -> tuple[Grey, Points]:
    """The picture turned clockwise about its middle, then shifted by (x, y); where it ends its border repeats."""
    cos, sin = math.cos(math.radians(roll_deg)), math.sin(math.radians(roll_deg))
    turn = np.array([[cos, -sin], [sin, cos]])
    middle = np.full(2, (CROP_SIZE - 1) / 2)
    offset = middle + shift_px - turn @ middle
    picture = cv2.warpAffine(
        pixels, np.column_stack([turn, offset]), (CROP_SIZE, CROP_SIZE), borderMode=cv2.BORDER_REPLICATE
    )
    points = (units * CROP_SIZE - 0.5) @ turn.T + offset
    return np.asarray(picture, np.uint8), np.asarray((points + 0.5) / CROP_SIZE, np.float32)


def brightened(pixels: Grey, factor: float) -> Grey:
    """The picture times `factor`, clipped at 255."""
    return np.asarray(np.minimum(pixels * factor, 255), np.uint8)


Floats = NDArray[np.float32]

OPTIMIZERS = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}


class Step(NamedTuple):
    """The arrays of one step."""

    pixels: Floats
    """(N, 96, 96, 1), grey levels 0 to 255."""
    offsets: Floats
    """(N, 2P), crop units from the mean shape; 0 where not labelled."""
    mask: Floats
    """(N, 2P), 1 where labelled: a mask, so that a true offset of zero still counts."""


def batches(rows: FaceSet, points: tuple[int, ...], recipe: PublishedRecipe, epoch: int, seed: int) -> Iterator[Step]:
    """The steps of `epoch`, in an order that the seed and the epoch give; a last one that is not full is left out."""
    rng = np.random.default_rng([seed, epoch])
    size = min(recipe.fit.batch, len(rows))
    order = rng.permutation(len(rows))
    units, mean = units_of(rows), rows.schema.mean_shape
    for start in range(0, len(order) - size + 1, size):
        shown = [
            augmented(rows.images[i], units[i], rows.schema, rng, recipe.augment) for i in order[start : start + size]
        ]
        offsets = (np.stack([u for _, u in shown]) - mean)[:, list(points)].reshape(size, -1)
        mask = np.isfinite(offsets)
        pixels = np.stack([p for p, _ in shown])[..., None].astype(np.float32)
        yield Step(pixels, np.where(mask, offsets, 0).astype(np.float32), mask.astype(np.float32))


def predict_units(model: keras.Model, pixels: NDArray[np.uint8], mean_shape: NDArray[np.floating]) -> Floats:
    """Points (N, P, 2) in crop units that `model` gives for pictures (N, 96, 96)."""
    # in parts: all pictures as floats at once would take four times the memory of the data set
    parts = np.array_split(pixels, max(1, len(pixels) // 1024))
    out = [model.predict(p[..., None].astype(np.float32), batch_size=64, verbose=0)["keypoints"] for p in parts]
    return np.asarray(np.concatenate(out).reshape(len(pixels), -1, 2) + mean_shape, np.float32)


@dataclass(eq=False, repr=False)
class NetworkFit:
    """The state of one training."""

    model: keras.Model
    recipe: PublishedRecipe
    points: tuple[int, ...]
    """Which points of the schema the network learns."""
    train: FaceSet
    val: FaceSet
    folder: Path
    """For checkpoints, best.h5 and history.jsonl."""
    minutes: float
    seed: int

    def __post_init__(self) -> None:
        fit = self.recipe.fit
        self.course = Course(fit, self.minutes)
        self.optimizer = OPTIMIZERS[fit.optimizer](fit.learning_rate)
        self.optimizer.build(self.model.trainable_variables)
        self.done = tf.Variable(0, dtype=tf.int64)
        saved = tf.train.Checkpoint(model=self.model, optimizer=self.optimizer, done=self.done)
        self.checkpoints = tf.train.CheckpointManager(saved, str(self.folder / "checkpoints"), max_to_keep=1)
        self._step = tf.function(self._update)

    @property
    def history_file(self) -> Path:
        """One `Epoch` a line."""
        return self.folder / "history.jsonl"

    @property
    def best_file(self) -> Path:
        """Weights of the best epoch so far."""
        return self.folder / "best.h5"

    def resume(self) -> None:
        """Goes on from the newest checkpoint, where there is one."""
        if restore_newest(self.checkpoints):
            self.course.epochs = read_history(self.history_file, int(self.done))
        lines = [msgspec.json.encode(epoch) + b"\n" for epoch in self.course.epochs]
        write_whole({self.history_file: b"".join(lines)})

    def run(self) -> Epoch:
        """Trains until the course is over and leaves the model with its best weights; the best epoch."""
        limit = 60 * self.minutes or self.recipe.fit.epochs
        unit = "s" if self.minutes else "epoch"
        form = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} {unit} [{elapsed}<{remaining}{postfix}]"
        with tqdm(total=limit, unit=unit, desc=self.folder.name, bar_format=form, mininterval=1) as bar:
            bar.update(min(limit, self.course.seconds if self.minutes else len(self.course.epochs)))
            while not self.course.why_over():
                self._run_epoch(bar)
        tqdm.write(f"{self.folder.name}: {self.course.why_over()}", file=bar.fp)
        best = self.course.best
        assert best is not None
        self.model.load_weights(self.best_file)
        return best

    def _run_epoch(self, bar: tqdm[Any]) -> None:
        started, rate = time.monotonic(), 0.0
        losses: list[float] = []
        total = len(self.train) // min(self.recipe.fit.batch, len(self.train))
        for step in ahead(batches(self.train, self.points, self.recipe, int(self.done), self.seed)):
            spent = time.monotonic() - started
            rate = self.course.learning_rate(len(losses) / total, spent)
            self.optimizer.learning_rate.assign(rate)
            losses.append(float(self._step(step)))
            self._show(bar, len(losses) / total, time.monotonic() - started)
            if self.minutes and self.course.seconds + time.monotonic() - started >= 60 * self.minutes:
                break
        if not np.isfinite(losses).all():
            raise InputError(
                f"the loss is not finite in epoch {int(self.done) + 1}; lower fit.learning_rate in the recipe"
            )
        mse, mae = self._validate()
        epoch = Epoch(
            epoch=int(self.done) + 1,
            seconds=time.monotonic() - started,
            steps=len(losses),
            learning_rate=rate,
            loss=float(np.mean(losses)),
            val_mse_px2=mse,
            val_mae_px=mae,
        )
        self._keep(epoch)
        bar.set_postfix({"val RMSE px": f"{mse**0.5:.2f}"})

    def _show(self, bar: tqdm[Any], share: float, spent: float) -> None:
        now = self.course.seconds + spent if self.minutes else len(self.course.epochs) + share
        bar.update(max(0.0, min(now, bar.total) - bar.n))

    def _keep(self, epoch: Epoch) -> None:
        """Best weights, then the line, then the checkpoint: a kill in between costs one epoch, which is done again."""
        best = self.course.best
        if best is None or epoch.val_mse_px2 < best.val_mse_px2:
            partial = self.folder / "best.partial.h5"
            self.model.save_weights(partial)
            partial.replace(self.best_file)
        self.done.assign_add(1)
        append_line(self.history_file, msgspec.json.encode(epoch))
        self.checkpoints.save()
        self.course.epochs.append(epoch)

    def _update(self, step: Step) -> tf.Tensor:
        with tf.GradientTape() as tape:
            out = self.model(step.pixels, training=True)["keypoints"]
            loss = self._loss(out, step)
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def _loss(self, offsets: tf.Tensor, step: Step) -> tf.Tensor:
        if self.recipe.fit.loss == "wing":
            return keypoint_loss(offsets, step.offsets, step.mask, tf.ones_like(offsets[:, :1]), Loss())
        error = (offsets - step.offsets) * CROP_SIZE
        return tf.reduce_sum(error * error * step.mask) / tf.maximum(tf.reduce_sum(step.mask), 1.0)

    def _validate(self) -> tuple[float, float]:
        """Mean square and mean absolute error of the labelled coordinates, pixels squared and pixels."""
        points = list(self.points)
        units = predict_units(self.model, pixels_of(self.val), self.val.schema.mean_shape[points])
        error = (units - units_of(self.val)[:, points]) * CROP_SIZE
        known = error[np.isfinite(error)]
        return float((known**2).mean()), float(np.abs(known).mean())
