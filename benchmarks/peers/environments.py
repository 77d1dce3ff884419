"""Each peer in an environment and a process of its own: makes the one, starts the other, hands it jobs."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WORKERS = HERE / "workers"
ENVIRONMENTS = ("mediapipe", "dlib")
"""Each has its requirements-NAME.txt. What runs this program runs fkp-edge and OpenCV too."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

JOB_S = 900
"""A job that takes longer has gone wrong; the longest took 80 s."""


@dataclass(frozen=True)
class Peer:
    """One system that is measured."""

    name: str
    title: str
    """For tables."""
    environment: str | None
    """One of ENVIRONMENTS; None for the one that runs this program."""
    command: tuple[str, ...]
    """Worker and what it takes after the core."""


PEERS = (
    Peer("int8", "fkp-edge, int8", None, ("fkp_edge_worker.py", "engine", "keypoints-int8")),
    Peer("float32", "fkp-edge, float32", None, ("fkp_edge_worker.py", "engine", "keypoints-float32")),
    Peer("mediapipe", "MediaPipe Face Mesh", "mediapipe", ("mediapipe_worker.py",)),
    Peer("dlib", "dlib, HOG and 68 points", "dlib", ("dlib_worker.py",)),
    Peer("haar", "Haar (1.25, 6) and our float32", None, ("fkp_edge_worker.py", "haar", "keypoints-float32")),
)


def make_environment(name: str, cache: Path) -> Path:
    """The Python of the environment `name` below `cache`, made where it is missing or its requirements have changed."""
    folder, wanted = cache / name, (HERE / f"requirements-{name}.txt").read_text()
    python, made = folder / "bin/python", folder / "requirements.txt"
    if not made.is_file() or made.read_text() != wanted:
        print(f"installing {name} into {folder}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, timeout=300)
        install = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        install += ["-r", str(HERE / f"requirements-{name}.txt")]
        subprocess.run(install, check=True, timeout=1800, stdout=sys.stderr)
        made.write_text(wanted)
    return python


class Worker:
    """A peer's process, ready for jobs. A context manager."""

    def __init__(self, peer: Peer, python: Path, core: int, work: Path) -> None:
        """Starts it on `core`; what it says goes to a log in `work`."""
        worker, *rest = peer.command
        outside = {} if peer.environment is None else {"PYTHONPATH": ""}
        self.peer = peer
        self.versions: dict[str, str] = {}
        """Known once a job is done."""
        self._log = work / f"{peer.name}.log"
        with self._log.open("w") as file:
            self._process = subprocess.Popen(
                [str(python), str(WORKERS / worker), str(core), *rest],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env=os.environ | ONE_THREAD | outside,
            )

    def do(self, job: dict[str, Any]) -> Path:
        """Has `job` done; its result file.

        Raises:
            SystemExit: the worker ended or did not answer; the text ends as its log does.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            ready, _, _ = select.select([self._process.stdout], [], [], JOB_S)
            answer = self._process.stdout.readline() if ready else ""
        except BrokenPipeError:
            answer = ""
        if not answer:
            tail = self._log.read_text()[-1000:]
            raise SystemExit(
                f"the worker of {self.peer.title} gave no answer on {job['pictures']}; the end of its log:\n{tail}"
            )
        self.versions = json.loads(answer)
        return Path(job["out"])

    def close(self) -> None:
        """Ends the process; twice is fine."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
