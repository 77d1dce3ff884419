"""Trains a finder: AdamW on a cosine schedule, averaged weights, checkpoints that resume."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fkp_edge.core.geometry import Crop
from fkp_edge.errors import InputError
from fkp_edge.evaluation.evaluate import LabelledPhotograph, recall
from fkp_edge.model.finder_maps import Proposal, decode_maps, letterbox
from fkp_edge.train.backend import keras, tf
from fkp_edge.train.batches import ahead
from fkp_edge.train.finder.compose import Composer
from fkp_edge.train.finder.mosaics import mosaics
from fkp_edge.train.finder.network import build_finder
from fkp_edge.train.finder.recipe import FinderRecipe
from fkp_edge.train.finder.start import carry_finder
from fkp_edge.train.finder.targets import Batch, Target, batches

__all__ = ["FinderFitter", "propose_with"]

ROLL_WEIGHT = 5.0
"""Of the roll's squared errors against the absolute ones of offset and size."""
TURNED_WEIGHT = 3.0
"""How much more the roll of a face counts that is turned by 90 degrees than of an upright one."""
EVALUATE_EVERY = 2
"""Epochs between looks at the validation photographs."""


def propose_with(look: Callable[[NDArray[np.float32]], Any], grey: NDArray[np.uint8], most: int) -> list[Proposal]:
    """What a network proposes in `grey` (H, W), frame pixels; `look` gives its outputs for (1, 128, 160, 1)."""
    pixels, place = letterbox(grey)
    out = [np.asarray(o)[0] for o in look(pixels[None, ..., None].astype(np.float32))]
    found = decode_maps([(out[0][..., 0], out[1]), (out[2][..., 0], out[3])], most=most)
    return [Proposal(place.to_frame(p.crop), p.score) for p in found]


@dataclass(eq=False)
class FinderFitter:
    """The state of one training run."""

    recipe: FinderRecipe
    composer: Composer
    validation: Sequence[LabelledPhotograph]
    out: Path

    start: Path | None = None
    """A finder that this run goes on from, see `carry_finder`; random weights where None."""
    trust_code: bool = False

    def __post_init__(self) -> None:
        self.mosaics = mosaics(self.validation)
        keras.utils.set_random_seed(self.recipe.fit.seed)
        self.model = build_finder(self.recipe.network)
        if self.start:
            carry_finder(
                self.start,
                self.model,
                next(batches(self.composer, self.recipe.fit, 0)).pixels,
                trust_code=self.trust_code,
            )
        self.averaged = build_finder(self.recipe.network)
        self.averaged.set_weights(self.model.get_weights())
        self.optimizer = self._optimizer()
        self.optimizer.build(self.model.trainable_variables)
        self.epoch = tf.Variable(0, dtype=tf.int64)
        saved = tf.train.Checkpoint(
            model=self.model, averaged=self.averaged, optimizer=self.optimizer, epoch=self.epoch
        )
        self.checkpoints = tf.train.CheckpointManager(saved, str(self.out / "checkpoints"), max_to_keep=2)
        self._step = tf.function(self._train_step)
        self._look = tf.function(lambda pixels: self.averaged(pixels, training=False))

    def _optimizer(self) -> keras.optimizers.Optimizer:
        fit = self.recipe.fit
        total = fit.epochs * fit.steps
        warmup = min(total - 1, math.ceil(fit.warmup_epochs * fit.steps))
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, total - warmup, warmup_target=fit.learning_rate, warmup_steps=warmup
        )
        optimizer = keras.optimizers.AdamW(rate, weight_decay=fit.weight_decay, global_clipnorm=5.0)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return optimizer

    @property
    def history_file(self) -> Path:
        """One JSON object an epoch; before the first, of the network that the run starts from, one of epoch 0."""
        return self.out / "history.jsonl"

    def resume(self) -> None:
        """Goes on from the newest checkpoint, if there is one."""
        if self.checkpoints.latest_checkpoint:
            self.checkpoints.restore_or_initialize()

    def run(self) -> keras.Model:
        """Trains to the end of the schedule; the averaged model."""
        fit = self.recipe.fit
        total = fit.epochs * fit.steps
        with tqdm(total=total, initial=int(self.epoch) * fit.steps, desc="training", unit="step") as bar:
            if self.start and not int(self.epoch):
                self._note({"epoch": 0} | self.evaluate())
            for epoch in range(int(self.epoch), fit.epochs):
                self._run_epoch(epoch, bar)
        return self.averaged

    def _run_epoch(self, epoch: int, bar: tqdm[Any]) -> None:
        started, sums = time.monotonic(), np.zeros(2)
        for batch in ahead(batches(self.composer, self.recipe.fit, epoch)):
            sums += [float(v) for v in self._step(batch)]
            bar.update()
        if not np.isfinite(sums).all():
            raise InputError(f"the loss is not finite in epoch {epoch + 1}; lower fit.learning_rate in the recipe")
        heat, shape = (sums / self.recipe.fit.steps).tolist()
        record: dict[str, Any] = {"heat_loss": heat, "shape_loss": shape, "epoch": epoch + 1}
        record["seconds"] = time.monotonic() - started
        if (epoch + 1) % EVALUATE_EVERY == 0 or epoch + 1 == self.recipe.fit.epochs:
            record |= self.evaluate()
            bar.set_postfix({"val recall %": f"{record['val_mosaics_recall_percent']:.1f}"})
        self.epoch.assign(epoch + 1)
        self.checkpoints.save()
        self._note(record)

    def _note(self, record: dict[str, Any]) -> None:
        with self.history_file.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def evaluate(self) -> dict[str, float]:
        """What the averaged model proposes of the validation faces, percent: of whole photographs, and in mosaics."""

        def propose(grey: NDArray[np.uint8], most: int) -> list[Crop]:
            return [p.crop for p in propose_with(self._look, grey, most)]

        return {
            "val_recall_percent": 100 * recall(self.validation, propose),
            "val_mosaics_recall_percent": 100 * recall(self.mosaics, propose),
        }

    def _train_step(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            out = self.model(batch.pixels, training=True)
            heat = shape = 0.0
            for level, target in enumerate(batch.targets):
                heat += heat_loss(out[2 * level][..., 0], target)
                shape += shape_loss(out[2 * level + 1], target)
            loss = heat + self.recipe.fit.shape_weight * shape
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        done = tf.cast(self.optimizer.iterations, tf.float32)
        decay = tf.minimum(self.recipe.fit.ema, (1 + done) / (10 + done))  # short memory while weights still move fast
        for average, weight in zip(self.averaged.weights, self.model.weights, strict=True):
            average.assign(decay * average + (1 - decay) * weight if weight.dtype.is_floating else weight)
        return heat, shape


def heat_loss(logits: tf.Tensor, target: Target) -> tf.Tensor:
    """Focal loss a face (Law and Deng, CornerNet, ECCV 2018, equation 1): near a middle a wrong answer costs less."""
    probability = tf.clip_by_value(tf.sigmoid(logits), 1e-5, 1 - 1e-5)
    middle = tf.cast(target.heat > 0.999, tf.float32)
    right = middle * (1 - probability) ** 2 * tf.math.log(probability)
    wrong = (1 - middle) * (1 - target.heat) ** 4 * probability**2 * tf.math.log(1 - probability)
    return -tf.reduce_sum((right + wrong) * target.care) / tf.maximum(tf.reduce_sum(middle), 4.0)


def shape_loss(shape: tf.Tensor, target: Target) -> tf.Tensor:
    """Absolute errors of offset and size and squared errors of the roll, where a face's middle is near.

    Half of the faces are nearly upright: absolute errors of the roll stay least where none is ever said to be turned.
    """
    missed = shape - target.shape
    place = tf.reduce_sum(tf.abs(missed[..., :3]) * tf.constant([1.0, 1.0, 2.0]), -1)
    turned = 1 + TURNED_WEIGHT * tf.abs(target.shape[..., 3])
    roll = ROLL_WEIGHT * turned * tf.reduce_sum(missed[..., 3:] ** 2, -1)
    return tf.reduce_sum((place + roll) * target.near) / tf.maximum(tf.reduce_sum(target.near), 1.0)
