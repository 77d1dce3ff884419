"""The built wheel in emulated arm64 userlands of both Raspberry Pi OS bases: `make test-arm64`.

It is installed from aarch64 wheels only and runs under QEMU as on a Cortex-A72. Nothing here measures time.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fkp_edge.core.geometry import Crop, crop_from_labels, extract
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data.kaggle import COLUMNS
from fkp_edge.data.pictures import portrait, portrait_points
from fkp_edge.stream import ObservationMessage, connect

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
LAB = os.environ.get("FKP_EDGE_ARM64_LAB", "")
"""Where the userlands are, or are to be built; the tests are asked for by naming it."""
FACES = 48
FRAMES = 100


def why_not() -> str:
    if not LAB:
        return "make test-arm64 builds arm64 userlands for it"
    if os.geteuid() != 0:
        return "building a userland needs root: sudo make test-arm64"
    missing = [name for name in ("mmdebstrap", "qemu-aarch64") if shutil.which(name) is None]
    return f"needs {', '.join(missing)}: apt install mmdebstrap qemu-user" if missing else ""


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(REPOSITORY)]
    subprocess.run(command, check=True, timeout=300)
    return next(out.glob("*.whl"))


class Userland:
    """Runs this package's commands as on a Pi."""

    def __init__(self, name: str, wheel: Path, folder: Path) -> None:
        build = [str(HERE / "userland.sh"), LAB, name, str(wheel)]
        environment = os.environ | {"PYTHON": sys.executable}
        built = subprocess.run(build, capture_output=True, text=True, env=environment, timeout=600, check=False)
        if built.returncode:  # no network, most often
            pytest.skip(f"its userland cannot be built: {built.stderr.strip()[-300:]}")
        self.name = name
        self.folder = folder
        """Where commands run."""
        suite = "bookworm" if name == "tflite" else name
        self.python = Path(LAB).resolve() / suite / "opt" / f"{name}-python"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.python, "-m", "fkp_edge", *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": "/root", "LANG": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, expected: int = 0) -> str:
        """What a command that ends with the exit code `expected` prints."""
        with self.start(*arguments) as process:
            out, errors = process.communicate(timeout=240)
        assert process.returncode == expected, errors[-2000:] + out[-2000:]
        return out


@pytest.fixture(scope="session", params=["bookworm", "trixie", "tflite"])
def userland(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Userland:
    return Userland(request.param, wheel, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped portrait, turned, scaled and lit in many ways, as Kaggle's CSV."""
    rng = np.random.default_rng(0)
    grey, points = portrait()[..., 1], portrait_points()
    around = crop_from_labels(points, FKP15)
    lines = [",".join([*COLUMNS, "Image"])]
    for _ in range(FACES):
        crop = Crop(around.x, around.y, around.side * rng.uniform(1.2, 1.6), around.roll + rng.uniform(-0.3, 0.3))
        picture = np.clip(extract(grey, crop) * rng.uniform(0.6, 1.3) + rng.normal(0, 6, (96, 96)), 0, 255)
        coordinates = crop.to_units(points) * 96 - 0.5
        pixels = " ".join(map(str, picture.astype(np.uint8).ravel()))
        lines.append(",".join([*(f"{value:.4f}" for value in coordinates.ravel()), pixels]))
    path = tmp_path_factory.mktemp("faces") / "training.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_libraries_are_those_of_the_system(userland: Userland) -> None:
    report = json.loads(userland.run("doctor", "--json"))
    found = {check["name"]: (check["status"], check["text"]) for check in report["checks"]}
    assert report["failed"] == 0
    assert found["NumPy"][1].startswith("2." if userland.name == "trixie" else "1.")
    runtime = "tflite-runtime 2.14.0" if userland.name == "tflite" else "LiteRT 2."
    assert found["TFLite runtime"][0] == "ok"
    assert found["TFLite runtime"][1].startswith(runtime)
    assert "aarch64" in found["system"][1]


@pytest.mark.parametrize("model", ["keypoints-int8", "keypoints-float32"])
def test_the_network_gives_what_the_desktop_gave(userland: Userland, model: str) -> None:
    assert json.loads(userland.run("verify", model, "--json"))["reproduces"]


def test_a_photograph(userland: Userland) -> None:
    picture = REPOSITORY / "fkp_edge/data/eileen_collins.jpg"
    (face,) = json.loads(userland.run("predict", str(picture), "--json"))["faces"]
    eyes = np.subtract(*portrait_points()[:2])
    off = np.linalg.norm(np.array(face["points"]) - portrait_points(), axis=1)
    assert off.mean() < 0.15 * np.linalg.norm(eyes)


@pytest.fixture
def demo(userland: Userland) -> Iterator[subprocess.Popen[str]]:
    socket = userland.folder / "demo.sock"
    process = userland.start("run", "--source", "demo", "--fast", "--json", "--stream", f"unix://{socket}")
    with process:
        while not socket.exists() and process.poll() is None:
            time.sleep(0.1)
        yield process
        process.kill()


def test_the_demo_is_tracked_and_streamed(userland: Userland, demo: subprocess.Popen[str]) -> None:
    states = []
    with connect(f"unix://{userland.folder / 'demo.sock'}", reconnect=False, timeout_s=60) as stream:
        for message in stream:
            if isinstance(message, ObservationMessage):
                states.append(message.state)
            if len(states) == FRAMES:
                break
    demo.send_signal(signal.SIGTERM)
    out, errors = demo.communicate(timeout=60)
    assert demo.returncode == 0, errors[-2000:]
    assert states.count("tracking") > 0.8 * FRAMES
    assert json.loads(out)["frames"] >= FRAMES


def test_a_short_benchmark(userland: Userland) -> None:
    assert userland.run("bench", "--quick", "--json")


def nme_percent(userland: Userland, faces: Path) -> float:
    (entry,) = json.loads(userland.run("eval", "keypoints-int8", "--data", str(faces), "--json"))
    (figures,) = entry["sets"].values()
    assert figures["faces"] == FACES
    return float(figures["nme_percent"])


def test_both_runtimes_are_as_accurate(wheel: Path, faces: Path, tmp_path: Path) -> None:
    """NME of the int8 file on the drawn faces: tflite-runtime's within 1 % of LiteRT's."""
    litert, tflite = (nme_percent(Userland(name, wheel, tmp_path), faces) for name in ("bookworm", "tflite"))
    assert tflite == pytest.approx(litert, rel=0.01)
