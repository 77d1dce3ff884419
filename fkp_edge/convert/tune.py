"""Fine-tuning within a conversion, and the faces that it calibrates, tunes and is judged on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from fkp_edge import data
from fkp_edge.convert.recipe import ConvertRecipe, Tune
from fkp_edge.core.keypoints import FKP15, Schema, schema_named
from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.evaluation.evaluate import Propose
from fkp_edge.train.backend import keras, tf
from fkp_edge.train.batches import Batch, BatchMaker, TrainingSet
from fkp_edge.train.fit import Fitter
from fkp_edge.train.networks import keypoint_loss, score_loss
from fkp_edge.train.proposals import Negatives, face_boxes, mine_negatives
from fkp_edge.train.published.recipe import Data as FileData
from fkp_edge.train.published.rows import load_rows, split_rows
from fkp_edge.train.recipe import Augment, Data, Fit, Loss, Recipe

__all__ = ["Faces", "Task", "Tuner", "load_faces", "prepare_task", "tune"]

KAGGLE = FileData()
"""The split of a competition's file for networks whose own is not known."""


class Faces(NamedTuple):
    """Labelled faces for one conversion; no face is in both."""

    train: list[FaceSet]
    times: list[int]
    """How often an epoch of fine-tuning shows each set."""
    val: list[FaceSet]


def load_faces(recipe: ConvertRecipe, trained_as: dict[str, Any], schema: Schema, data_dir: Path) -> Faces:
    """The faces that `recipe` names below `data_dir`, else those that the network was trained and validated on.

    A network whose recipe (`trained_as`) is not known gets DIR/train and DIR/val, or training.csv, split.

    Raises:
        InputError: nothing is there, what is there is wrong, or one folder is named for both.
    """
    both = set(recipe.calibration.folders) & set(recipe.val)
    if both:
        raise InputError(f"{sorted(both)[0]} is in calibration.folders and in val; the gate wants faces of its own")
    train = _named(recipe.calibration.folders, schema, data_dir)
    val = _named(recipe.val, schema, data_dir)
    if train and val:
        return Faces(train, [1] * len(train), val)
    own = _own(trained_as, schema, data_dir)
    return Faces(train or own.train, [1] * len(train) or own.times, val or own.val)


def _named(folders: tuple[str, ...], schema: Schema, data_dir: Path) -> list[FaceSet]:
    return [data.load_one(data_dir / folder, schema) for folder in folders]


def _own(trained_as: dict[str, Any], schema: Schema, data_dir: Path) -> Faces:
    known = trained_as.get("data", {})
    if trained_as.get("kind") == "keypointnet":
        train: dict[str, int] = known["train"]
        val = _named(tuple(known["val"]), schema, data_dir)
        return Faces(_named(tuple(train), schema, data_dir), list(train.values()), val)
    if "file" in known:
        return _split(msgspec.convert(known, FileData), data_dir)
    if (data_dir / "train").is_dir() and (data_dir / "val").is_dir():
        sets = data.load(data_dir / "train", schema)
        return Faces(sets, [1] * len(sets), data.load(data_dir / "val", schema))
    if schema is FKP15 and any((data_dir / name).exists() for name in ("training.csv", "training.zip")):
        return _split(KAGGLE, data_dir)
    raise InputError(
        f"{data_dir} has no labelled faces to calibrate and to compare on; expected train/ and val/ with .pts files, "
        "or Kaggle's training.csv, or name calibration.folders and val in the recipe"
    )


def _split(config: FileData, data_dir: Path) -> Faces:
    """Kaggle rows as the published networks split them: calibrates on what trained them, judges on the rest."""
    parts = split_rows(load_rows(config, data_dir), config)
    return Faces([parts["train"]], [1], [parts["val"]])


log = logging.getLogger(__name__)

GENTLE = Augment(
    haar_share=0,
    track_share=0,
    wide_share=0,
    half_share=0,
    roll_deg=3,
    contrast=0.1,
    brightness=5,
    gamma=0.1,
    blur_share=0,
    small_share=0,
    erase_share=0,
    noise_share=0,
    jpeg_share=0,
    cut_share=0,
)
"""For networks that saw ready 96x96 pictures only: crops framed as these are."""


class Task(NamedTuple):
    """What to learn from, for every fine-tuning of one conversion."""

    recipe: Recipe
    """Schedule, augmentation and loss, in the training code's terms."""
    sets: list[TrainingSet]
    negatives: Negatives
    val: list[FaceSet]

    @property
    def steps(self) -> int:
        """Of one whole fine-tuning."""
        return self.recipe.fit.epochs * BatchMaker(self.sets, self.negatives, self.recipe).steps


def prepare_task(config: Tune, described: dict[str, Any], faces: Faces, *, data_dir: Path, propose: Propose) -> Task:
    """The network's own augmentation, loss and negatives where it was trained here on whole pictures; `GENTLE` else.

    Args:
        config: the schedule.
        described: the network's model.json.
        faces: to learn from.
        data_dir: folder that the network's scenes lie in.
        propose: a face detector, whose right boxes frame crops and whose wrong ones become negatives.
    """
    trained = described["recipe"]
    own = msgspec.convert(trained, Recipe) if trained.get("kind") == "keypointnet" else None
    fit = Fit(
        epochs=config.epochs,
        batch=config.batch,
        negatives=config.negatives if described["has_score"] else 0,
        learning_rate=config.learning_rate,
        warmup_epochs=config.warmup_epochs,
        replicas=config.replicas,
        seed=config.seed,
    )
    recipe = Recipe(
        name="tune",
        data=Data(train={}, val=()),
        fit=fit,
        schema=described["schema"],
        augment=own.augment if own else GENTLE,
        loss=own.loss if own else Loss(eye_weight=False),
    )
    scenes = data.read_scenes(data_dir / own.data.scenes) if own and own.data.scenes else []
    negatives = mine_negatives(scenes, propose)
    boxes = face_boxes(faces.train, propose)
    sets = [
        TrainingSet(one.in_memory(), times, framing)
        for one, times, framing in zip(faces.train, faces.times, boxes, strict=True)
    ]
    return Task(recipe, sets, negatives, faces.val)


@dataclass(eq=False)
class Tuner(Fitter):
    """A training run whose targets are half the labels, half what `teacher` says of the same crop."""

    teacher: keras.Model | None = None
    hook: Callable[[keras.Model, int], None] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        assert self.teacher is not None
        with self.strategy.scope():  # a copy on each device
            copy = keras.models.clone_model(self.teacher)
            copy.set_weights(self.teacher.get_weights())
        self.teacher = copy

    def losses(self, out: dict[str, tf.Tensor], batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """Of the keypoints, from both; of the score, from the teacher alone, whose temperature is fitted already."""
        assert self.teacher is not None
        taught = self.teacher(batch.pixels, training=False)
        faces = tf.ones_like(batch.mask) * batch.score  # all points: the teacher knows those that nobody labelled
        from_labels = keypoint_loss(out["keypoints"], batch.offsets, batch.mask, batch.weight, self.recipe.loss)
        from_teacher = keypoint_loss(out["keypoints"], taught["keypoints"], faces, batch.weight, self.recipe.loss)
        return (from_labels + from_teacher) / 2, score_loss(
            out["score"], taught["score"]
        ) if "score" in out else tf.zeros(())

    def before_step(self) -> None:
        """Lets the pruning schedule, where there is one, do its part."""
        if self.hook:
            self.hook(self.model, int(self.optimizer.iterations.numpy()))


def tune(
    build: Callable[[], keras.Model],
    teacher: keras.Model,
    task: Task,
    out: Path,
    *,
    before_step: Callable[[keras.Model, int], None] | None = None,
) -> tuple[keras.Model, keras.Model]:
    """Trains what `build` gives; goes on where a killed run of the same work in `out` stopped.

    Args:
        build: makes the network to train, with its weights.
        teacher: the float network.
        task: faces and schedule.
        out: folder for checkpoints and history.jsonl.
        before_step: called with the network that learns and the number of the step.

    Returns:
        The averaged network and the one that learnt.
    """
    out.mkdir(parents=True, exist_ok=True)
    fitter = Tuner(
        recipe=task.recipe,
        schema=schema_named(task.recipe.schema),
        build=build,
        batches=BatchMaker(task.sets, task.negatives, task.recipe),
        validation=task.val,
        out=out,
        teacher=teacher,
        hook=before_step,
    )
    done = fitter.resume()
    if done:
        log.info("%s: going on after epoch %d", out, done)
    return fitter.run(), fitter.model
