"""`convert` for a finder: int8 by post-training quantisation, judged by recall at a fixed number of proposals."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from fkp_edge import data
from fkp_edge import report as pages
from fkp_edge.convert.channels import count_macs
from fkp_edge.convert.quantize import all_int8, converted, frozen_converter
from fkp_edge.convert.recipe import ConvertRecipe, save_passed
from fkp_edge.core.files import write_whole
from fkp_edge.data import Scene, read_picture
from fkp_edge.data.pictures import portrait
from fkp_edge.errors import InputError
from fkp_edge.evaluation.evaluate import PROPOSALS, LabelledPhotograph, hits, label_photographs
from fkp_edge.model.file import Card, ModelFile, encode_model_file
from fkp_edge.model.finder import FinderModel
from fkp_edge.model.finder_maps import INPUT_SIZE, FinderCase, letterbox
from fkp_edge.model.interpreter import list_operators
from fkp_edge.train.backend import keras
from fkp_edge.train.containers import open_keras
from fkp_edge.train.inputs import read_description

__all__ = ["FinderReport", "FinderResult", "convert_finder", "is_finder"]

log = logging.getLogger(__name__)

OUTPUTS = ("fine_heat", "fine_shape", "coarse_heat", "coarse_shape")
MORE = 4
"""Times as many calibration pictures, as the remedy."""

Pictures = NDArray[np.uint8]


class FinderReport(msgspec.Struct, frozen=True, kw_only=True):
    """A finder's conversion."""

    model: str
    name: str
    data: str
    """Folder of the validation photographs."""
    photographs: int
    faces: int
    proposals: int
    """How many count in a photograph."""
    recipe: dict[str, Any]
    quantisation: str
    max_loss_percent: float
    float_recall_percent: float
    recall_percent: float
    lost_faces: int
    """Proposed by the float network and not by int8."""
    won_faces: int
    bytes: dict[str, int]
    """Precision -> size of the flatbuffer."""
    macs: int

    @property
    def loss_percent(self) -> float:
        """Of the float network's recall."""
        return 100 * (1 - self.recall_percent / max(self.float_recall_percent, 1e-9))

    @property
    def passed(self) -> bool:
        """Whether int8 proposes nearly as many faces."""
        return self.float_recall_percent > 0 and self.loss_percent <= self.max_loss_percent

    @property
    def verdict(self) -> str:
        """One line."""
        found = (
            f"proposes {self.recall_percent:.1f} % of {self.faces} faces at {self.proposals} proposals, the float "
            f"network {self.float_recall_percent:.1f} %, a loss of {self.loss_percent:.2f} % of it"
        )
        if self.passed:
            return f"passes: it {found}; allowed are {self.max_loss_percent:g} %"
        return f"does not pass: it {found}, allowed are {self.max_loss_percent:g} %"


@dataclass(frozen=True, eq=False)
class FinderResult:
    """What a finder's conversion gives; `save` writes it."""

    files: dict[str, tuple[bytes, Card, tuple[FinderCase, ...]]]
    """Precision (float32, int8) -> flatbuffer, card and golden cases."""
    report: FinderReport

    def save(self, out: Path, *, overwrite: bool = False) -> dict[str, Path]:
        """Writes the int8 file to `out` and the float32 one beside it, both or none; their paths by precision.

        Raises:
            InputError: the gate refused it, a file exists and `overwrite` is not given, or the disk is full.
        """
        contents = {
            precision: encode_model_file(flatbuffer, card, finder_golden=cases)
            for precision, (flatbuffer, card, cases) in self.files.items()
        }
        return save_passed(out, self.report, contents, overwrite=overwrite)


def is_finder(path: Path) -> bool:
    """Whether model.json beside the network in `path` says that it is a finder."""
    if path.suffix != ".keras" or not path.with_suffix(".json").exists():
        return False
    return bool(read_description(path)["recipe"].get("kind") == "finder")


def convert_finder(path: Path, recipe: ConvertRecipe, *, data_dir: Path, trust_code: bool = False) -> FinderResult:
    """Quantises the finder in `path`, the model.keras of a training run, and counts what it proposes.

    Args:
        path: beside it lies model.json.
        recipe: calibration and what may be lost; a finder is not pruned and not trained on.
        data_dir: folder that the training recipe's folders lie in.
        trust_code: see `open_keras`.

    Raises:
        InputError: the model or a folder is missing, or the recipe asks for what a finder cannot have.
    """
    if recipe.prune.channels or recipe.prune.weights or recipe.quantise != "ptq":
        raise InputError(f"{path} is a finder; expected a recipe without prune and with quantise = 'ptq'")
    described = read_description(path)
    model = open_keras(path, trust_code=trust_code, size=INPUT_SIZE)
    folders = described["recipe"]["data"]
    photographs = label_photographs(data.read_scenes(data_dir / folders["val_scenes"]))
    scenes = data.read_scenes(data_dir / folders["scenes"])
    in_float = _flatbuffer(model)
    before = _found(_opened(path, in_float, described), photographs)
    best: tuple[int, bytes, str, NDArray[np.bool_]] | None = None
    for times in (1, MORE) if recipe.remedies else (1,):
        pictures = _calibration(scenes, times * recipe.calibration.count, recipe.calibration.seed)
        flatbuffer = _flatbuffer(model, pictures)
        found = _found(_opened(path, flatbuffer, described), photographs)
        how = f"post-training, {len(pictures)} letterboxed photographs of {folders['scenes']}"
        log.info("%s: %d of %d faces, in float %d", how, found.sum(), len(found), before.sum())
        if best is None or found.sum() > best[0]:
            best = (int(found.sum()), flatbuffer, how, found)
        if found.sum() >= before.sum() * (1 - recipe.max_loss_percent / 100):
            break
    assert best is not None
    _, in_int8, how, after = best
    report = FinderReport(
        model=str(path),
        name=described["recipe"]["name"],
        data=folders["val_scenes"],
        photographs=len(photographs),
        faces=len(before),
        proposals=PROPOSALS,
        recipe=msgspec.to_builtins(recipe),
        quantisation=how,
        max_loss_percent=recipe.max_loss_percent,
        float_recall_percent=100 * float(before.mean()),
        recall_percent=100 * float(after.mean()),
        lost_faces=int((before & ~after).sum()),
        won_faces=int((after & ~before).sum()),
        bytes={"float32": len(in_float), "int8": len(in_int8)},
        macs=count_macs(model),
    )
    files = {
        precision: _file(path, flatbuffer, described, report, precision)
        for precision, flatbuffer in {"float32": in_float, "int8": in_int8}.items()
    }
    return FinderResult(files, report)


def sections(report: FinderReport) -> list[pages.Section]:
    """The report for people."""
    rows: list[tuple[str, ...]] = [
        ("float32", f"{report.bytes['float32'] / 1000:.1f}", f"{report.float_recall_percent:.2f}"),
        ("int8", f"{report.bytes['int8'] / 1000:.1f}", f"{report.recall_percent:.2f}"),
    ]
    verdict = report.verdict[0].upper() + report.verdict[1:] + "."
    lines = [
        verdict,
        f"From `{report.model}`. Quantisation: {report.quantisation}.",
        f"{report.photographs} photographs of `{report.data}`; int8 lost {report.lost_faces} faces that the float "
        f"network proposes and won {report.won_faces}. Multiply-accumulates of one look: {report.macs:,}.",
    ]
    table = pages.Table(("precision", "flatbuffer, kB", f"recall at {report.proposals} proposals, %"), rows)
    return [pages.Section(f"{report.name}: conversion report", lines, table)]


def write_finder_report(report: FinderReport, out: Path) -> list[Path]:
    """Writes the report of the model file `out` beside it: NAME.report.json, .md and .html; their paths."""
    found = sections(report)
    contents = {
        out.with_suffix(".report.json"): msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n",
        out.with_suffix(".report.md"): pages.markdown(found).encode(),
        out.with_suffix(".report.html"): pages.html_page(found[0].title, found, {}).encode(),
    }
    write_whole(contents)
    return list(contents)


def _flatbuffer(model: keras.Model, calibration: Pictures | None = None) -> bytes:
    converter = frozen_converter(lambda pixels: model(pixels, training=False), size=INPUT_SIZE, names=OUTPUTS)
    return converted(converter if calibration is None else all_int8(converter, calibration))


def _calibration(scenes: Sequence[Scene], count: int, seed: int) -> Pictures:
    """Letterboxed photographs (N, 128, 160), whole or a part of one: what the device looks at."""
    rng = np.random.default_rng(seed)
    pictures = []
    for number in range(count):
        picture = read_picture(scenes[int(rng.integers(len(scenes)))].path)
        if number % 2:
            height, width = (int(length * rng.uniform(0.4, 1)) for length in picture.shape)
            top, left = int(rng.integers(picture.shape[0] - height)), int(rng.integers(picture.shape[1] - width))
            picture = picture[top : top + height, left : left + width]
        pictures.append(letterbox(np.ascontiguousarray(picture))[0])
    return np.stack(pictures)


def _opened(path: Path, flatbuffer: bytes, described: dict[str, Any]) -> FinderModel:
    return FinderModel(ModelFile(path, flatbuffer, _card(flatbuffer, described, "")))


def _found(finder: FinderModel, photographs: Sequence[LabelledPhotograph]) -> NDArray[np.bool_]:
    """Of every annotated face, whether it is proposed."""
    found: list[bool] = []
    for photograph in photographs:
        found += hits(photograph, lambda grey, most: [p.crop for p in finder.propose(grey, most=most)])
    return np.array(found, bool)


def _card(flatbuffer: bytes, described: dict[str, Any], precision: str, **more: Any) -> Card:
    return Card(
        kind="finder",
        name=described["recipe"]["name"],
        schema="",
        mean_shape=(),
        has_score=False,
        flatbuffer_sha256=ModelFile(Path(), flatbuffer, None).sha256,
        flatbuffer_bytes=len(flatbuffer),
        precision=precision,
        quantisation=more.get("quantisation", ""),
        parameters=described["parameters"],
        training=described["recipe"],
        licence=described["recipe"]["data"]["note"],
        operators=list_operators(flatbuffer),
        accuracy=more.get("accuracy", {}),
    )


def _file(
    path: Path, flatbuffer: bytes, described: dict[str, Any], report: FinderReport, precision: str
) -> tuple[bytes, Card, tuple[FinderCase, ...]]:
    recalls = {"float32": report.float_recall_percent, "int8": report.recall_percent}
    accuracy = {
        report.data: {
            "faces": report.faces,
            "photographs": report.photographs,
            "proposals": report.proposals,
            "float_recall_percent": report.float_recall_percent,
            "recall_percent": recalls[precision],
        }
    }
    quantisation = report.quantisation if precision == "int8" else ""
    card = _card(flatbuffer, described, precision, quantisation=quantisation, accuracy=accuracy)
    return flatbuffer, card, golden_cases(FinderModel(ModelFile(path, flatbuffer, card)))


def golden_cases(finder: FinderModel) -> tuple[FinderCase, ...]:
    """What `finder` makes of the portrait, upright, small and turned on a plain wall, and of a drawn pattern."""
    grey = np.asarray(cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY), np.uint8)
    half = np.asarray(cv2.resize(grey, (176, 176), interpolation=cv2.INTER_AREA), np.uint8)
    turn = cv2.getRotationMatrix2D((88, 88), 25, 0.6)
    turn[:, 2] += (-8, -22)
    wall = cv2.warpAffine(half, turn, (160, 120), borderMode=cv2.BORDER_CONSTANT, borderValue=110)
    ramp = np.add.outer(np.arange(120) % 64, np.arange(160) % 48) * 2
    return tuple(_golden_case(finder, np.asarray(frame, np.uint8)) for frame in (half, wall, ramp))


def _golden_case(finder: FinderModel, frame: Pictures) -> FinderCase:
    pixels, _ = letterbox(frame)
    rows = [(p.crop.x, p.crop.y, p.crop.side, p.crop.roll, p.score) for p in finder.propose(frame, most=PROPOSALS)]
    return FinderCase(frame, pixels, finder.invoke(pixels), np.array(rows, np.float32).reshape(-1, 5))
