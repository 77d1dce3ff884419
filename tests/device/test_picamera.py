"""`PicameraSource` on a real Picamera2 that libcamera's virtual camera feeds: `make test-picamera`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import pytest

from fkp_edge.device.sources import DemoSource

HERE = Path(__file__).parent
ROOT = os.environ.get("FKP_EDGE_PICAMERA_ROOT", "")
"""Where the camera's root is, or is to be built; the test is asked for by naming it."""


def why_not() -> str:
    if not ROOT:
        return "make test-picamera builds a Debian root for it"
    if os.geteuid() != 0:
        return "chroot needs root: sudo make test-picamera"
    return "" if shutil.which("mmdebstrap") else "needs mmdebstrap: apt install mmdebstrap"


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What picamera_lab.py saw."""
    frame = tmp_path_factory.mktemp("frame") / "frame.jpg"
    cv2.imwrite(str(frame), DemoSource(pace=False).frame(0, 0).grey)
    environment = os.environ | {"PYTHON": sys.executable}
    build = [HERE / "picamera_lab.sh", ROOT, frame]
    built = subprocess.run(build, capture_output=True, text=True, env=environment, timeout=600, check=False)
    if built.returncode:  # no network, most often
        pytest.skip(f"its root cannot be built: {built.stderr.strip()[-300:]}")
    command = ["chroot", ROOT, "env", "PYTHONPATH=/opt/lab:/opt/site", "python3", "/opt/lab/picamera_lab.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_camera_is_there(found: dict[str, Any]) -> None:
    assert found["available"]


def test_frames_are_the_small_stream_of_the_whole_sensor(found: dict[str, Any]) -> None:
    assert found["streams"] == {"main": [1296, 972], "lores": [640, 480]}


def test_frames_are_grey_counted_and_in_time(found: dict[str, Any]) -> None:
    assert found["shapes"] == [[480, 640]]
    assert found["sequences"] == list(range(30))
    assert all(a < b for a, b in pairwise(found["captured_ns"]))


def test_a_frame_keeps_its_pixels_after_the_next_is_read(found: dict[str, Any]) -> None:
    assert found["pixels_kept"]


def test_closing_twice_ends_the_frames_and_frees_the_camera(found: dict[str, Any]) -> None:
    assert found["after_close"] is None
    assert found["again"] == [480, 640]


def test_the_face_is_tracked(found: dict[str, Any]) -> None:
    assert found["states"].count("tracking") >= 29
