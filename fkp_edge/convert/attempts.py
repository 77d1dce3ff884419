"""The ways of quantising one network, tried in turn until one loses little enough."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from fkp_edge.convert.cards import keypoint_model
from fkp_edge.convert.load import Network, load_network
from fkp_edge.convert.qat import quantisation_aware, settle_ranges
from fkp_edge.convert.quantize import LayerError, calibration_crops, layer_errors, qat_to_int8, to_float, to_int8
from fkp_edge.convert.recipe import ConvertRecipe
from fkp_edge.convert.report import FOUND_SCORE
from fkp_edge.convert.tune import Faces, Task, load_faces, prepare_task, tune
from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.keypoints import Points
from fkp_edge.errors import InputError
from fkp_edge.evaluation.comparison import Comparison, LabelledCrops, compare, labelled_crops, predict_crops
from fkp_edge.evaluation.evaluate import Propose
from fkp_edge.train.backend import keras, strategy_for

__all__ = ["Candidate", "Job", "candidates", "prepare_job", "unshifted_mean"]

log = logging.getLogger(__name__)

MORE = 4
"""Times as many calibration crops, as the first remedy."""
WORST_LAYERS = 3
"""Layers that the last remedy leaves in float."""

Crops = NDArray[np.uint8]


class Candidate(NamedTuple):
    """One way of quantising."""

    how: str
    """In words, for the card."""
    flatbuffer: bytes
    mean_shape: Points | None
    """What its keypoints are offsets from; None for the network's own."""
    points: Points
    """(N, K, 2) on the labelled crops."""
    comparison: Comparison
    """Against the float network before pruning."""


@dataclass(eq=False)
class Job:
    """What the steps of one conversion share."""

    recipe: ConvertRecipe
    original: Network
    faces: Faces
    crops: LabelledCrops
    data_dir: Path
    propose: Propose
    work: Path

    _task: Task | None = field(default=None, init=False, repr=False)
    _errors: dict[Network, list[LayerError]] = field(default_factory=dict, init=False, repr=False)

    @property
    def task(self) -> Task:
        """Faces and schedule of fine-tuning; made when first asked for, since Haar takes its time."""
        if self._task is None:
            _claim(self.work, self.original, self.recipe, self.faces)
            self._task = prepare_task(
                self.recipe.tune,
                self.original.described,
                self.faces,
                data_dir=self.data_dir,
                propose=self.propose,
            )
        return self._task

    def points_of(self, network: Network, flatbuffer: bytes, mean_shape: Points | None = None) -> Points:
        """What a flatbuffer gives on the labelled crops, pixels."""
        return predict_crops(keypoint_model(network, flatbuffer, mean_shape), self.crops.pixels)

    def found_percent(self, network: Network, flatbuffer: bytes, mean_shape: Points | None = None) -> float:
        """Share of the labelled faces whose score on the labels' own crop makes `run` take them for a face."""
        model = keypoint_model(network, flatbuffer, mean_shape)
        scores = [model.predict(crop)[1] for crop in self.crops.pixels[self.crops.plain]]
        return 100 * float(np.mean(np.array(scores) >= FOUND_SCORE))

    def calibration(self, times: int = 1) -> Crops:
        """The calibration crops, or so many times as many."""
        config = self.recipe.calibration
        return calibration_crops(self.faces.train, times * config.count, config.seed)

    def layer_errors(self, network: Network) -> list[LayerError]:
        """What int8 does to each layer of `network`, worst first; measured once."""
        if network not in self._errors:
            self._errors[network] = layer_errors(network, self.calibration())
        return self._errors[network]

    def candidate(self, how: str, network: Network, flatbuffer: bytes, before: Points) -> Candidate:
        """A quantised `flatbuffer` of `network`, compared with the points `before`."""
        config, mean = self.recipe.calibration, None
        if config.bias_crops:
            crops = calibration_crops(self.faces.train, config.bias_crops, config.seed + 1)
            mean = unshifted_mean(network, flatbuffer, crops)
            how += f"; mean error of {config.bias_crops} other crops taken back"
        points = self.points_of(network, flatbuffer, mean)
        return Candidate(how, flatbuffer, mean, points, compare(before, points, self.crops))

    def tuned(
        self, name: str, build: Callable[[], keras.Model], hook: Callable[[keras.Model, int], None] | None = None
    ) -> tuple[keras.Model, keras.Model]:
        """Fine-tunes what `build` gives; see `tune`. `name` is that of the folder of its checkpoints."""
        return tune(build, self.original.model, self.task, self.work / name, before_step=hook)


def prepare_job(
    model_path: Path,
    recipe: ConvertRecipe,
    *,
    data_dir: Path,
    propose: Propose,
    work: Path,
    trust_code: bool = False,
) -> Job:
    """Reads the network and the faces, and checks that the recipe fits them.

    Args:
        model_path: .keras, .h5 or a SavedModel's folder; see `load_network`.
        recipe: what to do, and how much may be lost.
        data_dir: folder with the labelled faces; see `load_faces`.
        propose: a face detector, for fine-tuning.
        work: folder for the checkpoints of fine-tuning, which a second call goes on from.
        trust_code: see `load_network`.

    Raises:
        InputError: the model, the recipe or a data folder is missing or does not fit.
    """
    strategy_for(recipe.tune.replicas)  # TensorFlow fixes its devices when it first works; a scan tunes with any recipe
    network = load_network(model_path, recipe.network, trust_code=trust_code)
    if network.model is None and (recipe.prune.channels or recipe.prune.weights or recipe.quantise == "qat"):
        raise InputError(
            f"{model_path} is a SavedModel, which cannot be pruned or trained; expected post-training quantisation "
            "alone, or a .keras or .h5 file of tf-keras"
        )
    faces = load_faces(recipe, network.described["recipe"], network.schema, data_dir)
    crops = labelled_crops(faces.val)
    log.info("%s: compared on %d crops of %d faces", model_path, len(crops.pixels), len(crops.names))
    return Job(recipe, network, faces, crops, data_dir, propose, work)


def unshifted_mean(network: Network, flatbuffer: bytes, crops: Crops) -> Points:
    """The network's mean shape, moved by what the points of an int8 `flatbuffer` lack on average over `crops`.

    Rounded weights and ranges shift an int8 network's outputs by a constant, which costs nothing to take back (Nagel et
    al., Data-Free Quantization through Weight Equalization and Bias Correction, ICCV 2019, here for the outputs). The
    card carries it, so that no layer need be of a certain kind.
    """
    mean = np.array(network.described["mean_shape"], np.float32)
    wanted, found = (
        predict_crops(keypoint_model(network, content), crops) for content in (to_float(network), flatbuffer)
    )
    return np.asarray(mean + (wanted - found).mean(0) / CROP_SIZE, np.float32)


def candidates(job: Job, network: Network, before: Points) -> Iterator[Candidate]:
    """The recipe's way of quantising; then, for as long as it is asked, the remedies."""
    recipe = job.recipe
    if recipe.quantise == "qat":
        yield _aware(job, network, before)
        return
    yield _post_training(job, network, before, times=1)
    if not recipe.remedies:
        return
    yield _post_training(job, network, before, times=MORE)
    if network.model is not None:
        try:
            yield _aware(job, network, before)
        except InputError as error:
            log.warning("%s", error)
    worst = job.layer_errors(network)[:WORST_LAYERS]
    names = tuple(error.tensor for error in worst)
    how = f"post-training, in float: {', '.join(error.layer for error in worst)}"
    yield job.candidate(how, network, to_int8(network, job.calibration(), in_float=names), before)


def _post_training(job: Job, network: Network, before: Points, *, times: int) -> Candidate:
    crops = job.calibration(times)
    names = ", ".join(faces.name for faces in job.faces.train)
    how = f"post-training, {len(crops)} calibration crops of {names}, seed {job.recipe.calibration.seed}"
    return job.candidate(how, network, to_int8(network, crops), before)


def _aware(job: Job, network: Network, before: Points) -> Candidate:
    """Quantisation-aware training, which starts from the calibration crops' ranges."""
    crops = job.calibration()
    float_model = network.model

    def build() -> keras.Model:
        return settle_ranges(quantisation_aware(float_model), crops, job.recipe.calibration.seed)

    trained = job.tuned("qat", build)[0]
    how = f"quantisation-aware training, {job.recipe.tune.epochs} epochs"
    return job.candidate(how, network, qat_to_int8(trained), before)


def _claim(work: Path, network: Network, recipe: ConvertRecipe, faces: Faces) -> None:
    """Makes `work` this conversion's own: fine-tuning of another network, schedule or data is not gone on from."""
    digest = hashlib.sha256(network.path.read_bytes()).hexdigest()
    values = msgspec.to_builtins(recipe)
    shown = [[one.digest(), times] for one, times in zip(faces.train, faces.times, strict=True)]
    mine = msgspec.json.encode(
        {"model": digest, "tune": values["tune"], "prune": values["prune"], "faces": shown}, order="sorted"
    )
    noted = work / "conversion.json"
    try:
        work.mkdir(parents=True, exist_ok=True)
        if noted.exists() and noted.read_bytes() != mine:
            raise InputError(
                f"{work} holds unfinished work of another conversion (network, recipe or faces); delete it, or name "
                "another --out"
            )
        noted.write_bytes(mine)
    except OSError as error:
        raise InputError(f"cannot use {work} for the work: {error.strerror or error}; name another --out") from error
