"""All that the checks look at: a root folder, this Python, and programs. Tests give others of each."""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from fkp_edge.core.subprocesses import Ended, run_program
from fkp_edge.device.doctor.library_probe import MARK
from fkp_edge.model.shipped import shipped_model

if TYPE_CHECKING:
    from fkp_edge.device.board import Board

__all__ = ["PROGRAM_S", "SERVICE_USER", "Finding", "Holder", "Machine", "Said", "absent", "fails", "fine", "warns"]

Status = Literal["ok", "warning", "failed", "none"]


@dataclass(frozen=True)
class Finding:
    """Of one check, in one line."""

    status: Status
    """`warning`: it runs, but not as it could. `failed`: it does not, or not for long. `none`: does not apply."""
    text: str
    """What was found."""
    fix: str = ""
    """What to do, with the command where one does it."""


def fine(text: str) -> Finding:
    """Nothing to do."""
    return Finding("ok", text)


def absent(text: str) -> Finding:
    """Does not apply here."""
    return Finding("none", text)


def warns(text: str, fix: str) -> Finding:
    """It runs, but not as it could."""
    return Finding("warning", text, fix)


def fails(text: str, fix: str) -> Finding:
    """It does not run, or not for long."""
    return Finding("failed", text, fix)


MAX_BYTES = 2**18
PROGRAM_S = 60.0
"""How long a program may take: importing OpenCV from a slow card takes seconds."""
CONFIG = Path("etc/fkp-edge/config.toml")
SERVICE_USER = "fkp-edge"
SERVICE_HOME = Path("/opt/fkp-edge")
"""The environment that device/install.sh makes."""


class ProgramRunner(Protocol):
    """Runs a program with `given` on its standard input; raises OSError where it is not installed."""

    def __call__(self, command: Sequence[str], *, given: bytes = b"") -> Ended: ...


def _run(command: Sequence[str], *, given: bytes = b"") -> Ended:
    paths = [str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return run_program(command, timeout_s=PROGRAM_S, given=given, environment=environment)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name
        return str(os.getuid())


class Said(NamedTuple):
    """What a library's probe said."""

    facts: dict[str, Any]
    """Empty where the library does not load."""
    error: str
    """Why it does not, as `ImportError: ...`; empty where it does."""
    output: str
    """All that was printed on the way."""


class Holder(NamedTuple):
    """A process that has a file open."""

    pid: int
    name: str
    paths: tuple[str, ...]

    @property
    def is_ours(self) -> bool:
        """True for another fkp-edge, such as the service."""
        return self.name == "fkp-edge"

    def __str__(self) -> str:
        return f"{self.name} ({self.pid})"


@dataclass(frozen=True)
class Machine:
    """The device that is examined; by default the one that this runs on."""

    root: Path = Path("/")
    run: ProgramRunner = _run
    python: tuple[int, int] = sys.version_info[:2]
    architecture: str = field(default_factory=platform.machine)
    """Of the kernel: aarch64, x86_64, armv7l, armv6l."""
    is_64_bit: bool = sys.maxsize > 2**32
    """Of this Python; a 64-bit kernel may run a 32-bit system."""
    libc: str = field(default_factory=lambda: " ".join(platform.libc_ver()))
    """Such as `glibc 2.36`; empty for others."""
    prefix: Path = Path(sys.prefix)
    in_environment: bool = sys.prefix != sys.base_prefix
    config: Path | None = None
    """What `run --config` is given; without, the service's, where it is there."""
    model: Path | None = None
    """A model file instead of the configuration's."""
    user: str = field(default_factory=_user)
    process: int = field(default_factory=os.getpid)
    may_open: Callable[[Path], bool] = lambda path: os.access(path, os.R_OK | os.W_OK)
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    vcgencmd: str = "vcgencmd"

    def text(self, path: str) -> str:
        """The file's text, without what surrounds it; empty where it cannot be read."""
        try:
            with (self.root / path).open("rb") as file:
                return file.read(MAX_BYTES).decode(errors="replace").strip("\0 \n")
        except OSError:
            return ""

    def probe(self, library: str) -> Said:
        """Loads a library in a process of its own, so that one that crashes ends that process only."""
        if library not in self._said:
            self._said[library] = self._probe(library)
        return self._said[library]

    def fkp_edge(self, *arguments: str) -> Ended:
        """Runs a command of this package."""
        return self.run([sys.executable, "-P", "-m", "fkp_edge", *arguments])

    def install(self, requirement: str) -> str:
        """What a user does to get a package; Debian lets pip change environments only."""
        if not self.in_environment:
            return "make device-env, then .venv/bin/fkp-edge doctor"
        return f"{self._sudo}{self.prefix}/bin/pip install {requirement}"

    @property
    def remake(self) -> str:
        """What a user does to get a new environment, which sees apt's packages."""
        if self.is_service:
            return f"sudo rm -r {self.prefix}; sudo device/install.sh, in a clone"
        return f"rm -r {self.prefix}; /usr/bin/python3 -m venv --system-site-packages {self.prefix}, then install again"

    @property
    def is_service(self) -> bool:
        """Whether this Python is of the service's environment."""
        return self.prefix == SERVICE_HOME

    @property
    def service_uid(self) -> str:
        """The number of the service's user; empty without one."""
        found = re.search(rf"^{SERVICE_USER}:[^:]*:(\d+):", self.text("etc/passwd"), re.M)
        return found[1] if found else ""

    @property
    def is_pi(self) -> bool:
        """Whether this is a Raspberry Pi."""
        return self.model_name.startswith("Raspberry Pi")

    @property
    def model_name(self) -> str:
        """The board's, by its device tree; empty elsewhere."""
        return self.text("proc/device-tree/model")

    @cached_property
    def board(self) -> Board | None:
        """How the board is doing; None where msgspec is not installed."""
        try:
            from fkp_edge.device.board import read_board
        except ImportError:
            return None
        return read_board(self.root, self.vcgencmd)

    @property
    def config_file(self) -> Path | None:
        """The configuration to look at; None where neither is there."""
        if self.config is not None:
            return self.config
        return self.root / CONFIG if (self.root / CONFIG).is_file() else None

    @cached_property
    def printed_config(self) -> Ended:
        """What `fkp-edge run --print-config` says of the configuration, or of the defaults."""
        given = ["--config", str(self.config_file)] if self.config_file else []
        return self.fkp_edge("run", *given, "--print-config")

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The configuration's values; empty where it cannot be read."""
        try:
            import tomllib

            return tomllib.loads(self.printed_config.output) if self.printed_config.code == 0 else {}
        except (ImportError, OSError, ValueError):
            return {}

    @property
    def source(self) -> str:
        """Where frames shall come from: the service's word, the configuration's, or auto."""
        is_services = self.config is None or self.config.resolve() == (self.root / CONFIG).resolve()
        unit = self.text("etc/systemd/system/fkp-edge.service") if is_services else ""
        named = re.search(r"^ExecStart=.* --source (\S+)", unit, re.M)
        return named[1] if named else str(self.settings.get("source", "auto"))

    @property
    def model_file(self) -> Path:
        """The model that would run."""
        if self.model is not None:
            return self.model
        from fkp_edge.model.shipped import find_model

        named = self.settings.get("model")
        return find_model(named) if named else shipped_model()

    def holders(self, *prefixes: str) -> list[Holder]:
        """Processes with open files whose path begins so, such as `/dev/video`; not this one."""
        found = []
        for process in sorted((self.root / "proc").glob("[0-9]*"), key=lambda path: path.name):
            if process.name.isdecimal() and int(process.name) != self.process:
                paths = sorted({link for link in _links(process / "fd") if link.startswith(prefixes)})
                if paths:
                    name = self.text(f"proc/{process.name}/comm") or "unknown"
                    ours = name.startswith("python") and "fkp_edge" in self.text(f"proc/{process.name}/cmdline")
                    found.append(Holder(int(process.name), "fkp-edge" if ours else name, tuple(paths)))
        return found

    @property
    def _sudo(self) -> str:
        """For what changes the environment; the service's belongs to root."""
        return "sudo " if self.is_service else ""

    @cached_property
    def _said(self) -> dict[str, Said]:
        return {}

    def _probe(self, library: str) -> Said:
        try:
            ended = self.run([sys.executable, "-P", "-m", "fkp_edge.device.doctor.library_probe", library])
        except OSError as error:
            return Said({}, f"no process can be started ({error.strerror})", "")
        for line in ended.output.splitlines():
            if line.startswith(MARK):
                facts = json.loads(line.removeprefix(MARK))
                return Said(facts, facts.pop("error", ""), ended.output)
        ends = f"it crashed ({ended.signal})" if ended.signal else "it gave no answer"
        return Said({}, ends, ended.output)


def _links(folder: Path) -> list[str]:
    found = []
    try:
        for path in folder.iterdir():
            try:
                found.append(str(path.readlink()))
            except OSError:  # closed meanwhile
                continue
    except OSError:  # another user's, or ended meanwhile
        pass
    return found
