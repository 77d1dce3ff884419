"""The shipped finder: it finds the portrait, its golden cases replay, and it is told from a keypoint network."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.cli.main import main
from fkp_edge.core.geometry import Crop, box_around, crop_from_labels, iou
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data.pictures import portrait, portrait_points
from fkp_edge.device.detection.finder import Finder
from fkp_edge.errors import InputError, ModelFileError
from fkp_edge.model.file import encode_model_file, read_model_file
from fkp_edge.model.finder import open_any, open_finder
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model
from fkp_edge.model.verify import verify

FINDER = shipped_model("finder-int8")


def placed(scale: float, roll_deg: float, size: tuple[int, int] = (640, 480)) -> tuple[np.ndarray, Crop]:
    """The portrait's face turned and scaled into a grey frame, and its crop there."""
    grey = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)
    crop = crop_from_labels(portrait_points(), FKP15)
    matrix = cv2.getRotationMatrix2D((crop.x, crop.y), -roll_deg, scale)
    matrix[:, 2] += np.array(size) / 2 - (crop.x, crop.y)
    frame = cv2.warpAffine(grey, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(frame, np.uint8), Crop(size[0] / 2, size[1] / 2, crop.side * scale, math.radians(roll_deg))


@pytest.mark.parametrize("roll_deg", [-35, 0, 35])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_a_proposal_frames_the_face(scale: float, roll_deg: float) -> None:
    frame, truth = placed(scale, roll_deg)
    with Finder() as finder:
        found = finder.propose(frame)
    assert max(iou(box_around(proposal.crop), box_around(truth)) for proposal in found) > 0.4


def test_no_more_proposals_than_asked() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (480, 640)).astype(np.uint8)
    with Finder() as finder:
        assert len(finder.propose(noise, max_proposals=2)) <= 2


def test_a_closed_finder_says_so() -> None:
    finder = Finder()
    finder.close()
    finder.close()
    assert "closed" in repr(finder)
    with pytest.raises(InputError, match="closed"):
        finder.propose(np.zeros((48, 64), np.uint8))


def test_the_golden_cases_replay() -> None:
    found = verify(open_any(FINDER))
    assert (found.first, found.stages) == (None, ("pixels", "heat", "shape", "proposals"))


def test_verify_names_the_stage_that_differs(tmp_path: Path) -> None:
    file = read_model_file(FINDER)
    wrong = tuple(replace(case, raw=(case.raw[0] + 1, *case.raw[1:])) for case in file.finder_golden)
    path = tmp_path / "wrong.tflite"
    assert file.card is not None
    path.write_bytes(encode_model_file(file.flatbuffer, file.card, finder_golden=wrong))
    first = verify(open_any(path)).first
    assert first is not None
    assert first.stage == "heat"


def test_the_command_verifies_a_finder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(FINDER)]) == 0
    assert "proposals" in capsys.readouterr().out


def test_a_keypoint_network_is_no_finder() -> None:
    with pytest.raises(ModelFileError, match=r"keypoints-int8\.tflite is a keypoint network"):
        open_finder(shipped_model())


def test_a_finder_is_no_keypoint_network() -> None:
    with pytest.raises(ModelFileError, match=r"finder-int8\.tflite is a finder"):
        open_model(FINDER)


def test_a_card_of_another_kind_than_its_network_is_refused(tmp_path: Path) -> None:
    file = read_model_file(shipped_model())
    finder = read_model_file(FINDER)
    assert finder.card is not None
    card = replace_card(finder.card, file.flatbuffer)
    path = tmp_path / "mixed.tflite"
    path.write_bytes(encode_model_file(file.flatbuffer, card, finder_golden=finder.finder_golden))
    with pytest.raises(ModelFileError, match="expected a finder's one input"):
        open_any(path)


def replace_card(card, flatbuffer):  # type: ignore[no-untyped-def]
    """`card` as if it described `flatbuffer`."""
    import hashlib

    import msgspec

    return msgspec.structs.replace(card, flatbuffer_sha256=hashlib.sha256(flatbuffer).hexdigest())


def test_the_shipped_file_is_small() -> None:
    assert FINDER.stat().st_size <= 300_000


def test_golden_arrays_of_a_wrong_shape_are_refused(tmp_path: Path) -> None:
    file = read_model_file(FINDER)
    wrong = tuple(replace(case, pixels=case.pixels[:-1]) for case in file.finder_golden)
    path = tmp_path / "wrong.tflite"
    assert file.card is not None
    path.write_bytes(encode_model_file(file.flatbuffer, file.card, finder_golden=wrong))
    with pytest.raises(ModelFileError, match="pixels of golden case 1"):
        verify(open_any(path))
