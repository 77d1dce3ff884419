"""What is built, and the wheel installed: bare, without TensorFlow, at its main job, then with each extra alone."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import socket
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from urllib.request import urlopen

import pytest

import fkp_edge

REPOSITORY = Path(__file__).resolve().parents[1]
DESKTOP_EXTRAS = bool(os.environ.get("FKP_EDGE_DESKTOP_EXTRAS"))
"""Whether to install those with TensorFlow, too: 2.6 GB each."""
DESKTOP_ONLY = {"tensorflow", "tf-keras", "tf_keras", "keras", "matplotlib", "pandas", "scikit-learn", "opencv-python"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(REPOSITORY)]
    subprocess.run(command, check=True, timeout=300)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that has the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin/pip", "install", "--quiet", str(wheel)], check=True, timeout=600)
    return folder / "bin"


def build(folder: Path, out: Path) -> tuple[Path, Path]:
    """The wheel and the sdist of the project in `folder`, built into `out`."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(out)]
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, timeout=120)
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Wheel and sdist, built from the clone."""
    pytest.importorskip("hatchling", reason="hatchling is in fkp-edge[dev]")
    return build(REPOSITORY, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def metadata(built: tuple[Path, Path]) -> Message:
    """What the wheel says of itself."""
    with zipfile.ZipFile(built[0]) as wheel:
        return message_from_bytes(wheel.read(next(n for n in wheel.namelist() if n.endswith("/METADATA"))))


def in_clone(*patterns: str) -> set[str]:
    """The files that git has or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no git clone to compare with")
    return {name for name in listed.stdout.splitlines() if (REPOSITORY / name).exists()}


def test_two_builds_give_the_same_bytes(built: tuple[Path, Path], tmp_path: Path) -> None:
    again = build(REPOSITORY, tmp_path)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in built]


def test_the_sdist_builds_the_same_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, sdist = built
    # not tarfile: from Python 3.13 on it warns without `filter`, which Debian 12's 3.11.2 does not know
    subprocess.run(["tar", "-xzf", sdist, "-C", tmp_path], check=True, timeout=60)
    again, _ = build(tmp_path / sdist.name.removesuffix(".tar.gz"), tmp_path / "again")
    assert again.read_bytes() == wheel.read_bytes()


def test_the_wheel_holds_the_package_and_its_licences(built: tuple[Path, Path]) -> None:
    names = set(zipfile.ZipFile(built[0]).namelist())
    about = {name for name in names if ".dist-info/" in name}
    assert names - about == in_clone("fkp_edge")
    assert {name.rsplit("/", 1)[1] for name in about if "/licenses/" in name} == {"LICENSE", "NOTICE"}


def test_the_sdist_holds_the_clone_and_nothing_else(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names == in_clone() - {".ci/run"} | {"PKG-INFO"}


def test_the_metadata_is_complete(metadata: Message) -> None:
    wanted = ("Name", "Summary", "Author", "License-Expression", "Keywords", "Requires-Python")
    assert [name for name in wanted if not metadata[name]] == []
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload().startswith("# fkp-edge")
    assert "Typing :: Typed" in metadata.get_all("Classifier")


def test_a_page_says_what_each_extra_is_for(metadata: Message) -> None:
    """Those of users: dev and docs are for this project's own developers."""
    pages = "".join(page.read_text() for page in [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")])
    extras = set(metadata.get_all("Provides-Extra") or ()) - {"dev", "docs"}
    assert extras
    assert {extra for extra in extras if f"fkp-edge[{extra}]" not in pages} == set()


def test_the_version_comes_from_one_place(metadata: Message) -> None:
    said = subprocess.run([sys.executable, "-m", "fkp_edge", "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"fkp-edge {fkp_edge.__version__}\n"
    assert metadata["Version"] == fkp_edge.__version__
    assert fkp_edge.__version__ not in (REPOSITORY / "pyproject.toml").read_text()


def test_what_is_no_text_has_its_licence_in_the_notice() -> None:
    """Text is this project's; pictures and weights come from somewhere."""
    named = re.findall(r"^([\w./*-]+(?:, [\w./*-]+)*)$", (REPOSITORY / "NOTICE").read_text(), re.MULTILINE)
    patterns = [pattern for line in named for pattern in line.split(", ") if "/" in pattern]
    binary = {name for name in in_clone() if b"\0" in (REPOSITORY / name).read_bytes()[:4096]}
    assert len(binary) >= 8
    assert {name for name in binary if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)} == set()


def test_the_wheel_stays_small(wheel: Path) -> None:
    assert wheel.stat().st_size < 3_400_000  # 2.7 MB are networks


def test_the_bare_install_brings_nothing_of_the_desktop(bare: Path) -> None:
    listed = subprocess.run([bare / "pip", "list", "--format", "json"], check=True, capture_output=True, text=True)
    assert not {package["name"].lower() for package in json.loads(listed.stdout)} & DESKTOP_ONLY


def test_the_bare_install_plays_the_demo(bare: Path, tmp_path: Path) -> None:
    command = [bare / "fkp-edge", "run", "--source", "demo", "--fast", "--json", "--stream", "tcp://127.0.0.1:0"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert json.loads(result.stdout)["states"]["tracking"] > 300


@pytest.mark.parametrize("command", ["train", "convert"])
def test_the_bare_install_names_the_extra_that_a_desktop_command_needs(
    bare: Path, tmp_path: Path, command: str
) -> None:
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:  # what is missing is said before what is needed
        archive.writestr("config.json", "{}")
    arguments = {
        "train": ["train", str(REPOSITORY / "train/keypointnet.toml")],
        "convert": ["convert", str(tmp_path / "model.keras")],
    }[command]
    out = str(tmp_path / "out.tflite")
    result = subprocess.run(
        [bare / "fkp-edge", *arguments, "--data", ".", "--out", out], capture_output=True, text=True
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert f"pip install 'fkp-edge[{command}]'" in result.stderr


@pytest.mark.parametrize(
    ("options", "extra"),
    [
        (["--web", "127.0.0.1:0"], "web"),
        (["--stream", "ws://127.0.0.1:0"], "web"),
        (["--stream", "osc://127.0.0.1:9"], "osc"),
        (["--stream", "mqtt://127.0.0.1:9"], "mqtt"),
        (["--stream", "mqtt://127.0.0.1:9", "--check"], "mqtt"),
    ],
)
def test_the_bare_install_names_the_extra_that_a_stream_needs(
    bare: Path, tmp_path: Path, options: list[str], extra: str
) -> None:
    command = [bare / "fkp-edge", "run", "--source", "demo", "--stream", "tcp://127.0.0.1:0", *options]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert f"pip install 'fkp-edge[{extra}]'" in result.stderr


# each extra alone


@pytest.fixture(scope="module")
def with_extra(wheel: Path, bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the bin folder of the bare environment and one extra: a new one that sees the packages of the bare one."""

    def install(extra: str) -> Path:
        folder = tmp_path_factory.mktemp(extra)
        venv.create(folder, with_pip=False)
        packages, seen = (sysconfig.get_path("purelib", vars={"base": str(at)}) for at in (folder, bare.parent))
        (Path(packages) / "bare.pth").write_text(f"{seen}\n")
        command = [
            bare / "pip",
            "--python",
            folder / "bin/python",
            "install",
            "--quiet",
            f"fkp-edge[{extra}] @ {wheel.as_uri()}",
        ]
        subprocess.run(command, check=True, timeout=1800)
        return folder / "bin"

    return install


def run_with(folder: Path, *options: str) -> list[str]:
    """The command line of a run of the demo in the environment whose bin folder this is."""
    return [str(folder / "python"), "-m", "fkp_edge", "run", "--source", "demo", *options]


def test_web_alone_serves_the_page(with_extra: Callable[[str], Path], tmp_path: Path) -> None:
    command = run_with(with_extra("web"), "--stream", "ws://127.0.0.1:0", "--web", "127.0.0.1:0")
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        page = next(line for line in process.stderr if line.startswith("live page: ")).split()[-1]
        assert b"<html" in urlopen(page, timeout=10).read()
        process.kill()


def test_osc_alone_sends_bundles(with_extra: Callable[[str], Path], tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        command = run_with(with_extra("osc"), "--fast", "--stream", f"osc://127.0.0.1:{receiver.getsockname()[1]}")
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
        assert receiver.recv(65_536).startswith(b"#bundle\0")


def test_mqtt_alone_asks_for_a_broker(with_extra: Callable[[str], Path], tmp_path: Path) -> None:
    command = run_with(with_extra("mqtt"), "--stream", "mqtt://127.0.0.1:9")
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "cannot connect to mqtt://127.0.0.1:9/fkp-edge: Connection refused; expected an MQTT broker" in result.stderr


TRAIN = """
import matplotlib, numpy, sklearn, tqdm
from fkp_edge.train.networks import build_keypointnet
from fkp_edge.train.recipe import Network
network = build_keypointnet(Network(), 15)
print(network(numpy.zeros((1, 96, 96, 1), "float32"))["keypoints"].shape[1])
"""
CONVERT = """
import pathlib
import fkp_edge.convert.run
from fkp_edge.convert.load import load_network
from fkp_edge.convert.quantize import to_float
from fkp_edge.convert.recipe import Foreign
from fkp_edge.train.networks import build_keypointnet
from fkp_edge.train.recipe import Network
build_keypointnet(Network(), 15).save("model.keras")
print(to_float(load_network(pathlib.Path("model.keras"), Foreign()))[4:8].decode())
"""


@pytest.mark.skipif(not DESKTOP_EXTRAS, reason="2.6 GB each; make test-extras")
@pytest.mark.parametrize(("extra", "program", "said"), [("train", TRAIN, "30"), ("convert", CONVERT, "TFL3")])
def test_a_desktop_extra_alone_makes_a_network(
    with_extra: Callable[[str], Path], tmp_path: Path, extra: str, program: str, said: str
) -> None:
    result = subprocess.run(
        [with_extra(extra) / "python", "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert result.stdout.splitlines()[-1:] == [said], result.stderr[-2000:]
