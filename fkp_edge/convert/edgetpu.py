"""Compiles an int8 model file for the Edge TPU with the vendor's edgetpu_compiler, where that is installed."""

from __future__ import annotations

import platform
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fkp_edge.core.subprocesses import run_program
from fkp_edge.errors import InputError, MissingPartError, ModelFileError
from fkp_edge.model.edgetpu import CUSTOM_OPERATOR
from fkp_edge.model.file import (
    MAX_FILE_BYTES,
    Card,
    Compilation,
    GoldenCase,
    ModelFile,
    Operator,
    write_model_file,
)
from fkp_edge.model.interpreter import list_operators

__all__ = ["CompilerLog", "EdgeTpuModel", "MappedOperators", "compile_for_edgetpu", "find_compiler", "parse_log"]

DOCUMENTATION = "https://coral.ai/docs/edgetpu/compiler/"
TIMEOUT_S = 300.0
MAPPED = "Mapped to Edge TPU"


@dataclass(frozen=True)
class MappedOperators:
    """A row of the compiler's table: operators of one kind that share a fate."""

    name: str
    count: int
    status: str
    """`Mapped to Edge TPU`, or why not, in the compiler's words."""

    @property
    def on_edgetpu(self) -> bool:
        """True where they run on the Edge TPU."""
        return self.status == MAPPED

    def __str__(self) -> str:
        return f"{self.count} {self.name}: {self.status}"


@dataclass(frozen=True)
class CompilerLog:
    """What the compiler said."""

    version: str
    """Its name and version; empty where it did not say."""
    operators: tuple[MappedOperators, ...]

    @property
    def mapped(self) -> int:
        """Operators on the Edge TPU."""
        return sum(row.count for row in self.operators if row.on_edgetpu)

    @property
    def on_cpu(self) -> tuple[str, ...]:
        """Rows left to the CPU, in words."""
        return tuple(str(row) for row in self.operators if not row.on_edgetpu)


@dataclass(frozen=True, eq=False)
class EdgeTpuModel:
    """A compiled model; `save` writes it with its card."""

    flatbuffer: bytes
    card: Card
    golden: tuple[GoldenCase, ...]
    """Those of the int8 file: what the device has to reproduce, within verify's tolerance for it."""
    log: CompilerLog

    def save(self, path: Path, *, overwrite: bool = False) -> None:
        """Writes the model file, whole or not at all; `write_model_file` says what it raises."""
        write_model_file(path, self.flatbuffer, self.card, self.golden, overwrite=overwrite)


def find_compiler(*, system: str = platform.system(), machine: str = platform.machine()) -> Path:
    """The compiler on PATH.

    Raises:
        MissingPartError: there is none, or none can run on this machine.
    """
    if (system, machine) != ("Linux", "x86_64"):
        raise MissingPartError(
            f"edgetpu_compiler runs on x86-64 Linux only, this is {system} on {machine}; compile there: {DOCUMENTATION}"
        )
    if (found := shutil.which("edgetpu_compiler")) is None:
        raise MissingPartError(f"edgetpu_compiler is not on PATH; install it as {DOCUMENTATION} says")
    return Path(found)


def compile_for_edgetpu(file: ModelFile, compiler: Path, *, timeout_s: float = TIMEOUT_S) -> EdgeTpuModel:
    """Compiles an int8 model file; nothing is written but in a temporary folder.

    Args:
        file: with its card.
        compiler: from `find_compiler`.
        timeout_s: after which the compiler is stopped.

    Raises:
        InputError: the compiler refused the model, mapped nothing, or did not end in time.
    """
    card = file.card
    assert card is not None, "compiled files are made from files with a card"
    if card.precision != "int8":
        raise InputError(f"{file.path} is {card.precision}, expected int8: the Edge TPU computes in nothing else")
    log, flatbuffer = _run(file, compiler, timeout_s)
    operators = _operators(flatbuffer, compiler)
    if CUSTOM_OPERATOR not in {operator.name for operator in operators}:
        reasons = "; ".join(log.on_cpu) or "it does not say why"
        raise InputError(f"{compiler} mapped nothing of {file.path} to the Edge TPU: {reasons}; see {DOCUMENTATION}")
    return EdgeTpuModel(flatbuffer, _card(card, file, flatbuffer, operators, log), file.golden, log)


def _run(file: ModelFile, compiler: Path, timeout_s: float) -> tuple[CompilerLog, bytes]:
    """What the compiler said and the flatbuffer that it wrote."""
    with tempfile.TemporaryDirectory(prefix="fkp-edge-") as name:
        given = Path(name) / "model.tflite"
        given.write_bytes(file.flatbuffer)  # without the tail, which the compiler does not know
        try:
            ended = run_program([compiler, "-s", "-o", name, given], timeout_s=timeout_s)
        except OSError as error:
            raise MissingPartError(
                f"{compiler} cannot be run: {error.strerror}; install it as {DOCUMENTATION} says"
            ) from error
        if ended.code is None:
            raise InputError(
                f"{compiler} was stopped: not done with {file.path} after {timeout_s:g} s, or said over a megabyte; "
                "run it by hand to see why"
            )
        if ended.code:
            raise InputError(
                f"{compiler} refused {file.path} ({ended.signal or f'exit code {ended.code}'}): "
                f"{_complaint(ended.output)}; {DOCUMENTATION} lists what it takes"
            )
        return parse_log(ended.output), _read_output(given.with_name("model_edgetpu.tflite"), compiler)


def parse_log(text: str) -> CompilerLog:
    """Reads version and table (`edgetpu_compiler -s`: operator, count, status) out of what the compiler prints."""
    version = re.search(r"^(Edge TPU Compiler version \S+)", text, re.MULTILINE)
    table = re.split(r"^Operator +Count +Status *$", text, maxsplit=1, flags=re.MULTILINE)
    rows = re.findall(r"^([A-Za-z][\w-]*) +(\d{1,6}) +(\S.*?) *$", table[1], re.MULTILINE) if len(table) > 1 else []
    operators = tuple(MappedOperators(name, int(count), status) for name, count, status in rows)
    return CompilerLog(version[1] if version else "", operators)


def _complaint(output: str) -> str:
    """The line that says most: the first error, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(?i)(error|invalid|internal)", line)]
    return (errors or lines or ["it said nothing"])[0 if errors else -1][:300]


def _read_output(path: Path, compiler: Path) -> bytes:
    try:
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise InputError(f"{compiler} wrote {size} bytes, expected at most {MAX_FILE_BYTES}")
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{compiler} ended without an error but wrote no {path.name}; is it the Edge TPU's compiler?"
        ) from error


def _operators(flatbuffer: bytes, compiler: Path) -> tuple[Operator, ...]:
    try:
        return list_operators(flatbuffer)
    except ModelFileError as error:
        raise InputError(f"{compiler} wrote no TFLite flatbuffer: {error}") from error


def _card(card: Card, source: ModelFile, flatbuffer: bytes, operators: tuple[Operator, ...], log: CompilerLog) -> Card:
    """The int8 file's card for the compiled flatbuffer. Its accuracy is not known: no device has run it yet."""
    compilation = Compilation(
        compiler=log.version or "edgetpu_compiler of unknown version",
        mapped=log.mapped,
        on_cpu=log.on_cpu,
        source_sha256=source.sha256,
    )
    return msgspec.structs.replace(
        card,
        flatbuffer_sha256=ModelFile(Path(), flatbuffer, None).sha256,
        flatbuffer_bytes=len(flatbuffer),
        operators=operators,
        accuracy={},
        edgetpu=compilation,
    )
