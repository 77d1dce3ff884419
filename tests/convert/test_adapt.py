from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs fkp-edge[convert]")

from fkp_edge.cli.main import main
from fkp_edge.convert.adapt import AdaptReport
from fkp_edge.core.keypoints import IBUG68
from fkp_edge.data.readers import format_pts
from fkp_edge.evaluation.comparison import Loss
from fkp_edge.label.teachers import NetworkTeacher
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model


def loss(percent: float, most: float) -> Loss:
    return Loss(
        faces=9, before_percent=4, after_percent=4 * (1 + percent / 100), loss_percent=percent,
        interval_percent=(-9, most),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("own", "original", "found", "passed"),
    [
        (loss(-5, 1), loss(0.2, 0.9), 99, True),
        (loss(-5, 1), loss(0.2, 1.1), 99, False),
        (loss(-5, 1), None, 99, True),
        (loss(-5, 1), None, 97.9, False),
        (loss(0.1, 1), loss(-1, 0), 99, False),
    ],
)
def test_the_gate_wants_gain_on_own_faces_and_no_loss_on_the_original_ones(own, original, found, passed):
    report = AdaptReport(
        model="m", faces=9, own=own, original=original, found_percent=(99, found), max_loss_percent=1.0
    )
    assert report.passed is passed
    assert ("what it forgot is not known" in report.verdict) is (original is None)


@pytest.fixture(scope="module")
def faces(portrait_faces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark, blurred portraits with the points of the sharp one, moved down by a tenth of the eye distance: a habit of
    mark-up that the network does not have yet."""
    folder = tmp_path_factory.mktemp("faces")
    grey = cv2.resize(portrait_faces.images[0], (200, 200), interpolation=cv2.INTER_AREA)
    (marked,) = NetworkTeacher(open_model(shipped_model("keypoints68-int8"))).mark(grey)
    points = marked.points + np.float32([0, 0.1 * float(IBUG68.inter_ocular(marked.points))])
    for number in range(48):
        picture = np.asarray(grey * (0.5 + 0.01 * number), np.uint8)
        cv2.imwrite(str(folder / f"{number:03d}.png"), picture)
        (folder / f"{number:03d}.pts").write_text(format_pts(points))
    return folder


def test_a_network_is_adapted_to_own_faces(faces, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["adapt", "keypoints-float32", "--data", str(faces), "--out", "mine-int8.tflite", "--epochs", "1"]
    code = main([*command, "--max-loss", "20"])
    printed = capsys.readouterr()
    assert code == 0, printed
    assert "mine-int8.tflite is written: NME on 12 of your held-out faces" in printed.out
    assert "what it forgot is not known" in printed.out
    assert open_model(tmp_path / "mine-int8.tflite").file.card.name == "keypointnet-adapted"
    assert not (tmp_path / "mine-int8.work").exists()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("keypoints-int8", "is int8; start from the float file, such as keypoints-float32"),
        ("{data}/000.png", "is no model file; expected a float one"),
    ],
)
def test_a_network_that_cannot_be_trained_on_is_refused(model, said, faces, tmp_path, capsys):
    model = model.format(data=faces)
    assert main(["adapt", model, "--data", str(faces), "--out", str(tmp_path / "a.tflite")]) == 2
    assert said in capsys.readouterr().err
