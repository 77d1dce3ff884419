"""Trains a recipe: AdamW on a cosine schedule, averaged weights, checkpoints that resume."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fkp_edge.core.files import write_whole
from fkp_edge.core.geometry import extract
from fkp_edge.core.keypoints import Points, Schema
from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.evaluation.metrics import face_nme
from fkp_edge.train.backend import keras, strategy_for, tf
from fkp_edge.train.batches import Batch, BatchMaker, ahead
from fkp_edge.train.networks import freeze_start, keypoint_loss, score_loss
from fkp_edge.train.recipe import Recipe

__all__ = ["Fitter", "append_line", "keep_epochs", "predict_faces", "restore_newest", "whole_lines"]

log = logging.getLogger(__name__)


def append_line(path: Path, line: bytes) -> None:
    """Adds `line` to the file, on the disk when this returns.

    Written before the epoch's checkpoint: a kill in between leaves a line too many, which `keep_epochs` takes away, and
    never one too few.
    """
    with path.open("ab") as file:
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def whole_lines(path: Path) -> list[bytes]:
    """The lines that were written to their end; none where the file is missing."""
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def keep_epochs(path: Path, epoch: int) -> None:
    """Leaves the lines of the epochs up to `epoch`, which is where the checkpoint stands.

    Raises:
        InputError: a line is damaged, and was not merely cut short.
    """
    try:
        kept = [line for line in whole_lines(path) if json.loads(line)["epoch"] <= epoch]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}); name another --out") from error
    if path.exists():
        write_whole({path: b"".join(line + b"\n" for line in kept)})


def restore_newest(checkpoints: Any) -> bool:
    """Restores the newest checkpoint of a `tf.train.CheckpointManager` that can be read; False where there is none.

    Raises:
        InputError: there are some, and none can be read.
    """
    names = list(reversed(checkpoints.checkpoints))
    for name in names:
        try:
            checkpoints.checkpoint.restore(name).expect_partial()
        except (tf.errors.OpError, ValueError) as error:
            log.warning("%s cannot be read (%s)", name, str(error).splitlines()[0])
            continue
        return True
    if names:
        raise InputError(f"no checkpoint in {Path(names[0]).parent} can be read; name another --out")
    return False


EVALUATE_EVERY = 5
"""Epochs between looks at the validation sets."""


def predict_faces(
    model: keras.Model, faces: FaceSet, mean_shape: NDArray[np.floating]
) -> tuple[Points, NDArray[np.float32]]:
    """Points (N, K, 2) in picture pixels and scores (N,) of the labels' crops of `faces`."""
    crops = [faces.crop(i) for i in range(len(faces))]
    pixels = np.stack([extract(faces.images[i], crop) for i, crop in enumerate(crops)])[..., None]
    out = model.predict(pixels.astype(np.float32), batch_size=128, verbose=0)
    units = out["keypoints"].reshape(len(crops), -1, 2) + mean_shape
    points = np.stack([crop.to_frame(u) for crop, u in zip(crops, units, strict=True)])
    return points, out["score"][:, 0] if "score" in out else np.ones(len(crops), np.float32)


@dataclass(eq=False)
class Fitter:
    """The state of one training run."""

    recipe: Recipe
    schema: Schema
    build: Callable[[], keras.Model]
    batches: BatchMaker
    validation: list[FaceSet]
    out: Path

    def __post_init__(self) -> None:
        self.strategy = strategy_for(self.recipe.fit.replicas)
        keras.utils.set_random_seed(self.recipe.fit.seed)
        with self.strategy.scope():
            self.model = self.build()
            freeze_start(self.model, self.recipe.fit.frozen)
            self.optimizer = self._optimizer()
            self.optimizer.build(self.model.trainable_variables)
        self.averaged = self.build()
        self.averaged.set_weights(self.model.get_weights())
        self.epoch = tf.Variable(0, dtype=tf.int64)
        saved = tf.train.Checkpoint(
            model=self.model, averaged=self.averaged, optimizer=self.optimizer, epoch=self.epoch
        )
        self.checkpoints = tf.train.CheckpointManager(saved, str(self.out / "checkpoints"), max_to_keep=2)
        self._step = tf.function(self._shared_step)
        self._shown: dict[str, str] = {}

    def _optimizer(self) -> keras.optimizers.Optimizer:
        total = self.recipe.fit.epochs * self.batches.steps
        warmup = min(total - 1, math.ceil(self.recipe.fit.warmup_epochs * self.batches.steps))
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, total - warmup, warmup_target=self.recipe.fit.learning_rate, warmup_steps=warmup
        )
        optimizer = keras.optimizers.AdamW(rate, weight_decay=self.recipe.fit.weight_decay, global_clipnorm=5.0)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return optimizer

    @property
    def history_file(self) -> Path:
        """One JSON object an epoch."""
        return self.out / "history.jsonl"

    def _shared_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        values = self.strategy.run(self._replica_step, args=(batch,))
        done = tf.cast(self.optimizer.iterations, tf.float32)
        decay = tf.minimum(self.recipe.fit.ema, (1 + done) / (10 + done))  # short memory while weights still move fast
        for average, weight in zip(self.averaged.weights, self.model.weights, strict=True):
            average.assign(decay * average + (1 - decay) * weight if weight.dtype.is_floating else weight)
        return {name: self.strategy.reduce("MEAN", value, axis=None) for name, value in values.items()}

    def _replica_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            points, score = self.losses(self.model(batch.pixels, training=True), batch)
            loss = points + self.recipe.loss.score_weight * score
            share = loss / self.strategy.num_replicas_in_sync  # the optimizer sums over replicas
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(share, variables), variables, strict=True))
        return {"loss": loss, "points_loss": points, "score_loss": score}

    def losses(self, out: dict[str, tf.Tensor], batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """Of the keypoints and of the score."""
        points = keypoint_loss(out["keypoints"], batch.offsets, batch.mask, batch.weight, self.recipe.loss)
        return points, score_loss(out["score"], batch.score)

    def before_step(self) -> None:
        """Called before each step; for what changes the network while it learns."""

    def _share(self, array: NDArray[np.float32]) -> Any:
        """`array` dealt out to the replicas, row by row: each gets its part of the faces and of the negatives."""
        count = self.strategy.num_replicas_in_sync
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(array[context.replica_id_in_sync_group :: count])
        )

    def resume(self) -> int:
        """Goes on from the newest checkpoint; the epochs already done (0 where there is none)."""
        restore_newest(self.checkpoints)
        keep_epochs(self.history_file, int(self.epoch))
        return int(self.epoch)

    def run(self) -> keras.Model:
        """Trains to the recipe's last epoch; the averaged model."""
        epochs, steps = self.recipe.fit.epochs, self.batches.steps
        with tqdm(total=epochs * steps, initial=int(self.epoch) * steps, unit="step", mininterval=1) as bar:
            for epoch in range(int(self.epoch), epochs):
                self._run_epoch(epoch, bar)
        return self.averaged

    def _run_epoch(self, epoch: int, bar: tqdm[Any]) -> None:
        started, sums = time.monotonic(), np.zeros(3)
        for step, batch in enumerate(ahead(self.batches.epoch(epoch)), 1):
            self.before_step()
            values = self._step(Batch(*map(self._share, batch)))
            sums += [float(v) for v in values.values()]
            self._shown["loss"] = f"{sums[0] / step:.3f}"
            bar.set_postfix(self._shown, refresh=False)
            bar.update()
        if not np.isfinite(sums).all():
            raise InputError(f"the loss is not finite in epoch {epoch + 1}; lower fit.learning_rate in the recipe")
        record: dict[str, Any] = dict(
            zip(("loss", "points_loss", "score_loss"), (sums / self.batches.steps).tolist(), strict=True)
        )
        record |= {"epoch": epoch + 1, "seconds": time.monotonic() - started}
        if (epoch + 1) % EVALUATE_EVERY == 0 or epoch + 1 == self.recipe.fit.epochs:
            record["val_nme_percent"] = self.evaluate()
            self._shown["val NME %"] = f"{np.mean(list(record['val_nme_percent'].values())):.2f}"
        append_line(self.history_file, json.dumps(record).encode())
        self.epoch.assign(epoch + 1)
        self.checkpoints.save()

    def evaluate(self) -> dict[str, float]:
        """NME in percent of the averaged model on each validation set, labels' crops."""
        figures = {}
        for faces in self.validation:
            points, _ = predict_faces(self.averaged, faces, self.schema.mean_shape)
            figures[faces.name] = 100 * float(np.nanmean(face_nme(points, faces.points, self.schema)))
        return figures
