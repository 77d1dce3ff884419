"""Every command of the documentation works: it is run here as it stands, but for what its way below changes, or the
reason why it is not run is given. A command that is in a page and not in this table fails."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.cli.command_line import build_parser
from fkp_edge.data.kaggle import COLUMNS
from fkp_edge.data.pictures import portrait

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted({*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("[!.]*/**/README.md")})
OTHERS = {
    "apt": "changes the system",
    "sudoedit": "an editor",
    "pip": "fetches packages",
    "scp": "another machine",
    "rpicam-vid": "a Pi camera",
    "ffmpeg": "wants ffmpeg; test_sources.py pipes frames of its own",
    ".": "a shell's own",
}
"""Programs that are not ours, and why none of their lines is run here."""


@dataclass(frozen=True)
class Run:
    """A command that a test runs."""

    changes: dict[str, str] = field(default_factory=dict)
    """Text -> what stands there in the test, with the reason beside it where it is not plain."""
    watches: bool = False
    """A demo runs beside it, and `STREAM` is its address."""


@dataclass(frozen=True)
class Left:
    """A command that no test runs as it stands."""

    why: str
    """What it needs, and which test does what can be done without."""


DEMO = {"fkp-edge run": "fkp-edge run --source demo --fast --stream tcp://127.0.0.1:0"}
"""No camera here, no port that another program may have, and no 12 s."""
TOKEN = "python3 -c 'import secrets; print(secrets.token_urlsafe(24))' > token; chmod 600 token"
TOKEN_OF_SERVICE = (
    "python3 -c 'import secrets; print(secrets.token_urlsafe(24))' "
    "| sudo install -o root -g fkp-edge -m 640 /dev/stdin /etc/fkp-edge/token"
)
CHECKED = (
    "sudo -u fkp-edge env -C /var/lib/fkp-edge fkp-edge run --config /etc/fkp-edge/config.toml --check "
    "&& sudo systemctl restart fkp-edge"
)
CAMERA = "a camera; test_sources.py has a fake one"
DATA = "the research data"
EXAMINED = {"doctor": "doctor | grep '^22 checks:'"}
"""It ends with 1 where the machine that this runs on has a fault."""
NO_SERVICE = {" && sudo systemctl restart fkp-edge": ""}
MEASURES = "measures for minutes; the one that compares is run after a quick one"
TRAINS = "trains for minutes to hours; tests/train trains small networks"
CONVERTS = "a trained network; tests/convert converts small ones"

WAYS: dict[str, Run | Left] = {
    # README, quick start, device/
    "make run": Left("fetches packages; test_packaging.py installs the wheel and plays the demo"),
    "make test": Left("is what runs this"),
    "make lint types check-imports": Left("make test runs them"),
    "make test-fast": Left("is a part of make test"),
    "fkp-edge watch": Run({"watch": "watch STREAM --count 3"}, watches=True),
    "fkp-edge watch --json --count 1": Run({"watch": "watch STREAM"}, watches=True),
    TOKEN: Run(),
    "fkp-edge run --stream tcp://0.0.0.0:8765 --token-file token": Run(
        {"run": "run --source demo --fast", "0.0.0.0:8765": "127.0.0.1:0"}
    ),
    "fkp-edge watch tcp://raspberrypi.local:8765 --token-file token": Run(
        {"tcp://raspberrypi.local:8765": "STREAM --count 3"}, watches=True
    ),
    "fkp-edge run --web 127.0.0.1:8080 --preview": Run({**DEMO, ":8080": ":0"}),
    "fkp-edge eval fkp_edge/model/shipped/keypoints-*.tflite --data DATA/test --scenes --json": Left(DATA),
    "fkp-edge eval keypoints-int8 --data DATA/unlabelled/utkface --groups age_gender_race --held-out 5": Left(DATA),
    "fkp-edge verify keypoints-int8": Run(),
    "fkp-edge run --model keypoints68-int8 --measures": Run(DEMO),
    "fkp-edge run --record me.jsonl": Run({**DEMO, "me.jsonl": "new.jsonl"}),
    "fkp-edge export me.jsonl --out me.csv": Run(),
    "fkp-edge run --no-smoothing --record me.jsonl": Run({**DEMO, "me.jsonl": "new.jsonl"}),
    "fkp-edge tune me.jsonl --plot tune.png": Run(),
    'make run ARGS="--source v4l2:0"': Left(CAMERA),
    'make run ARGS="--web 127.0.0.1:8080 --preview"': Left("serves a page until Ctrl-C; tests/stream/web does so"),
    'make run ARGS="--source clip.mp4"': Run({'make run ARGS="': "fkp-edge run --stream tcp://127.0.0.1:0 ", '"': ""}),
    'make run ARGS="--source pictures/ --sheet out.png"': Run(
        {'make run ARGS="': "fkp-edge run --fast --stream tcp://127.0.0.1:0 ", '"': ""}
    ),
    "fkp-edge run --model keypoints-edgetpu.tflite --accelerator edgetpu": Left("an Edge TPU"),
    "fkp-edge run --config slow.toml": Run(DEMO),
    "fkp-edge run --source demo --loop &": Left("test_clients.py runs it with the next line"),
    "node clients/example.mjs tcp://127.0.0.1:8765": Left("test_clients.py"),
    "cc -O2 -o example clients/example.c -lm && ./example 127.0.0.1 8765": Left("test_clients.py"),
    # operations: without root, and in the test's folder instead of the system's
    "sudo device/install.sh --dry-run": Left("wants apt; test_install.py does so where it is there"),
    "sudo device/install.sh": Left("changes the system; make test-install does so in roots of its own"),
    "fkp-edge status": Run({"status": "status STREAM"}, watches=True),
    "fkp-edge doctor": Run(EXAMINED),
    "sudo -u fkp-edge fkp-edge doctor --config /etc/fkp-edge/config.toml": Run(
        {"sudo -u fkp-edge ": "", "/etc/fkp-edge/config.toml": "slow.toml | grep '^22 checks:'"}
    ),
    "python3 -m fkp_edge doctor": Run(EXAMINED),
    "sudo device/install.sh --extras web,osc,mqtt": Left("changes the system; test_install.py does so in a root"),
    CHECKED: Run(
        {
            "sudo -u fkp-edge env -C /var/lib/fkp-edge fkp-edge run": "fkp-edge run --stream tcp://127.0.0.1:0",
            "/etc/fkp-edge/config.toml": "slow.toml",
        }
        | NO_SERVICE
    ),
    TOKEN_OF_SERVICE: Run({"sudo install -o root -g fkp-edge": "install", "/etc/fkp-edge/token": "token"}),
    "sudo cat /etc/fkp-edge/token": Left("of the line before it"),
    "sudo fkp-edge status --token-file /etc/fkp-edge/token": Run(
        {"sudo fkp-edge status": "fkp-edge status STREAM", "/etc/fkp-edge/token": "token"}, watches=True
    ),
    'sudo usermod -aG fkp-edge "$USER"': Left("changes the system; test_unix.py looks at the socket's mode"),
    "fkp-edge watch unix:///run/fkp-edge/stream": Run(
        {"unix:///run/fkp-edge/stream": "STREAM --count 3"}, watches=True
    ),
    "sudo fkp-edge model install new.tflite && sudo systemctl restart fkp-edge": Run(
        {"sudo fkp-edge": "fkp-edge", "new.tflite": "mine-int8.tflite new.tflite"} | NO_SERVICE
    ),
    "sudo fkp-edge model rollback && sudo systemctl restart fkp-edge": Run(
        {"sudo fkp-edge": "fkp-edge", "rollback": "rollback place.tflite"} | NO_SERVICE
    ),
    # performance, contributing a result, benchmarks/peers
    "make bench": Left("fetches packages and measures for minutes"),
    "fkp-edge bench": Left(MEASURES),
    "fkp-edge bench --data DATA/test --report bench.html": Left(DATA),
    "fkp-edge bench --json > before.json": Left(MEASURES),
    "fkp-edge bench --json > after.json": Left(MEASURES),
    "fkp-edge bench compare before.json after.json --fail-on 10%": Run(
        {
            "fkp-edge bench": "fkp-edge bench keypoints-int8 --quick --json > before.json "
            "&& cp before.json after.json && fkp-edge bench"
        }
    ),
    "python benchmarks/peers/run.py DATA benchmarks/results/peers.json --cache ~/.cache/fkp-edge-peers": Left(DATA),
    "python benchmarks/measures.py DATA benchmarks/results/measures.json": Left(DATA),
    "python benchmarks/blinks.py DATA benchmarks/results/blinks.json": Left(DATA),
    "python benchmarks/peers/page.py": Left("writes into the pages; test_peers.py compares them with the results"),
    # your own camera
    "fkp-edge run --keep kept --keep-unsure": Run(DEMO),
    "fkp-edge label kept --out faces/desk": Run({"kept": "pictures"}),
    "fkp-edge label kept --out faces/better --teacher mediapipe --habit DATA/train/lfpw DATA/train/helen": Left(DATA),
    "fkp-edge adapt keypoints-float32 --data faces --out mine-int8.tflite": Left(
        "trains for minutes; tests/convert/test_adapt.py adapts to drawn faces"
    ),
    "fkp-edge label clip.mp4 --out faces/clip --every 1": Run({"clip.mp4": "photo.jpg"}),  # the test's clip is grey
    # tutorial, train/, convert/
    "python3 -m venv .venv-dev && . .venv-dev/bin/activate": Left("makes the environment that this runs in"),
    "fkp-edge data kaggle --out kaggle": Left("an account at Kaggle; test_competition.py has a client of its own"),
    "fkp-edge data describe kaggle/training.csv --picture overview.png": Run(),
    "fkp-edge data samples kaggle/training.csv --out samples.png": Run(),
    "fkp-edge train train/published/keypointnet.toml --data kaggle --out runs/mine": Left(TRAINS),
    "fkp-edge train train/published/lenet5.toml --data kaggle --out runs/lenet5": Left(TRAINS),
    "fkp-edge train train/scratch.toml --data ../shared/data --out runs/scratch": Left(DATA),
    "fkp-edge train train/keypointnet.toml --start keypoints-float32 --data ../shared/data --out runs/further": Left(
        DATA
    ),
    "fkp-edge train train/keypointnet.toml --sweep points.toml --data ../shared/data --out runs/mix": Left(DATA),
    "fkp-edge convert runs/mine/model.keras --data kaggle --out mine-int8.tflite": Left(CONVERTS),
    "fkp-edge convert runs/lenet5/model.keras --data kaggle --out lenet5-int8.tflite": Left(CONVERTS),
    "fkp-edge convert runs/keypointnet/model.keras --data ../shared/data --out keypoints-int8.tflite": Left(DATA),
    "fkp-edge convert runs/keypointnet/model.keras --data DATA --out keypoints-int8.tflite --edgetpu": Left(
        "the Edge TPU's compiler"
    ),
    "fkp-edge convert mine.h5 mine.toml --data kaggle --out mine-int8.tflite": Left(CONVERTS),
    "fkp-edge verify mine-int8.tflite": Run(),
    "fkp-edge eval mine-int8.tflite --data kaggle/training.csv": Run(),
    "fkp-edge predict photo.jpg --model mine-int8.tflite --draw drawn": Run(),
    "fkp-edge run --source demo --model mine-int8.tflite": Run(
        {"--source demo": "--source demo --fast --stream tcp://127.0.0.1:0"}
    ),
    "fkp-edge run --model mine-int8.tflite": Run(DEMO),
    "fkp-edge data submit --model mine-int8.tflite --data kaggle --out submission.csv": Run(),
    "fkp-edge data submit --model lenet5-int8.tflite --data kaggle --out submission.csv": Run(
        {"lenet5-int8.tflite": "mine-int8.tflite"}
    ),
    # benchmarks/arm64
    "sudo make bench-arm64": Left("builds userlands and counts for minutes; test_bench_arm64.py compares drawn counts"),
    "sudo make test-container": Left(
        "boots a container for a quarter of an hour; test_booted_device.py tests its parts"
    ),
    "sudo make test-vm": Left("boots a virtual machine for an hour; test_booted_device.py tests its parts"),
    'sudo make test-vm ARGS="--only film"': Left("the same"),
}


def commands() -> dict[str, list[str]]:
    """Every line of every ```sh block, without comments and with what was broken joined -> the pages that have it."""
    found: dict[str, list[str]] = {}
    for page in PAGES:
        for block in re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                command = " ".join(re.sub(r"(^|\s)#\s.*", "", line).split())
                if command:
                    found.setdefault(command, []).append(str(page.relative_to(REPOSITORY)))
    return found


def ours(command: str) -> bool:
    return bare(command).split()[0] not in OTHERS


def bare(command: str) -> str:
    """`command` as the user calls it who may: without `sudo`, and without where its output goes."""
    return re.sub(r"\bsudo (-u \S+ )?|> [^\s;|&]+", "", command)


def parts(command: str) -> list[list[str]]:
    """The programs that a line calls, with their arguments."""
    words = [[]]
    lexer = shlex.shlex(bare(command), posix=True, punctuation_chars=";|&")
    lexer.whitespace_split = True
    for word in lexer:
        if set(word) <= set(";|&"):
            words.append([])
        else:
            words[-1].append(word)
    return [part for part in words if part]


def test_every_command_has_a_way():
    assert {command: pages for command, pages in commands().items() if ours(command) and command not in WAYS} == {}


def test_every_way_is_of_a_command():
    assert WAYS.keys() - commands().keys() == set()


@pytest.mark.parametrize("command", [c for c in commands() if "fkp-edge" in c])
def test_commands_and_options_exist(command: str):
    for program, *arguments in parts(command):
        if program.endswith("fkp-edge"):
            build_parser().parse_args(arguments)


@pytest.mark.parametrize("command", [c for c in commands() if bare(c).startswith("make ")])
def test_targets_exist(command: str):
    assert f"\n{bare(command).split()[1]}:" in (REPOSITORY / "Makefile").read_text()


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `fkp-edge`, `python` and `python3`, which are this environment's."""
    folder = tmp_path_factory.mktemp("bin")
    for name, call in (("fkp-edge", "-m fkp_edge"), ("python", ""), ("python3", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} {call} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def inputs(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the commands read: everything in it is shipped or drawn."""
    folder = tmp_path_factory.mktemp("inputs")
    models = REPOSITORY / "fkp_edge/model/shipped"
    for name, shipped in (
        ("mine-int8.tflite", "keypoints-int8.tflite"),
        ("place.tflite", "keypoints-int8.tflite"),
        ("place.tflite.previous", "keypoints-float32.tflite"),
    ):
        (folder / name).write_bytes((models / shipped).read_bytes())
    (folder / "token").write_text("0123456789abcdefghij\n")
    boards = (REPOSITORY / "docs/boards.md").read_text()
    (folder / "slow.toml").write_text(re.search(r"```toml\n(.*?)```", boards, re.DOTALL)[1])
    (folder / "pictures").mkdir()
    for path in (folder / "photo.jpg", folder / "pictures/a.jpg", folder / "pictures/b.jpg"):
        cv2.imwrite(str(path), portrait())
    _write_clip(folder / "clip.mp4")
    shell(
        "fkp-edge run --source demo --fast --no-smoothing --stream tcp://127.0.0.1:0 --record me.jsonl", folder, tools
    )
    return folder


@pytest.fixture
def folder(inputs: Path, tmp_path: Path, portrait_faces) -> Path:
    """An own folder that shows the inputs."""
    for path in inputs.iterdir():
        (tmp_path / path.name).symlink_to(path)
    _write_kaggle(tmp_path / "kaggle", portrait_faces)
    return tmp_path


def _write_clip(path: Path) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25, (96, 64))
    for level in range(20):
        writer.write(np.full((64, 96, 3), 10 * level, np.uint8))
    writer.release()


def _write_kaggle(folder: Path, faces) -> None:
    """The portrait three times in the competition's format, as `training.csv` and as what a submission needs."""
    folder.mkdir()
    crops = faces.as_crops()
    pixels = [" ".join(map(str, image.ravel())) for image in crops.images]
    rows = [",".join([*(f"{v:.3f}" for v in p.ravel()), x]) for p, x in zip(crops.points, pixels, strict=True)]
    (folder / "training.csv").write_text("\n".join([",".join([*COLUMNS, "Image"]), *rows]) + "\n")
    tests = [f"{number},{x}" for number, x in enumerate(pixels, 1)]
    (folder / "test.csv").write_text("\n".join(["ImageId,Image", *tests]) + "\n")
    (folder / "IdLookupTable.csv").write_text(f"RowId,ImageId,FeatureName,Location\n1,2,{COLUMNS[0]},\n")


def shell(command: str, folder: Path, tools: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done


@contextlib.contextmanager
def demo(folder: Path) -> Iterator[str]:
    """A demo that streams at its own pace; gives its address."""
    command = [sys.executable, "-m", "fkp_edge", "run", "--source", "demo", "--stream", f"unix://{folder}/socket"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield next(m[1] for line in process.stderr if (m := re.search(r"streaming on (\S+);", line)))
        finally:
            process.kill()


@pytest.mark.parametrize("command", [c for c, way in WAYS.items() if isinstance(way, Run)])
def test_a_command_works(command: str, folder: Path, tools: Path):
    way = WAYS[command]
    for text, instead in way.changes.items():
        assert text in command
        command = command.replace(text, instead)
    with demo(folder) if way.watches else contextlib.nullcontext("") as url:
        shell(command.replace("STREAM", url), folder, tools)
