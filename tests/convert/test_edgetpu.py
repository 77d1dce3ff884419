"""Compiling for the Edge TPU with a stand-in for the compiler: the real one has not been tried.

The texts follow the form that the vendor documents (https://coral.ai/docs/edgetpu/compiler/); they were written here.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fkp_edge.convert.edgetpu import (
    DOCUMENTATION,
    EdgeTpuModel,
    MappedOperators,
    compile_for_edgetpu,
    find_compiler,
    parse_log,
)
from fkp_edge.errors import InputError, MissingPartError, ModelFileError
from fkp_edge.model.file import Operator, read_model_file
from fkp_edge.model.interpreter import list_operators, open_model
from fkp_edge.model.shipped import shipped_model

HEAD = """Edge TPU Compiler version 16.0.123456789
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 41 ms.

Input model: model.tflite
Input size: 300.00KiB
Output model: model_edgetpu.tflite
Output size: 400.00KiB
Number of Edge TPU subgraphs: {subgraphs}
Total number of operations: {total}
Operation log: model_edgetpu.log
"""
TABLE = """
Operator                       Count      Status

"""
ALL = (
    HEAD.format(subgraphs=1, total=33)
    + TABLE
    + "CONV_2D    23    Mapped to Edge TPU\nADD    10    Mapped to Edge TPU\n"
)
SOME = f"""{HEAD.format(subgraphs=1, total=34)}
Model successfully compiled but not all operations are supported by the Edge TPU.
Number of operations that will run on Edge TPU: 30
Number of operations that will run on CPU: 4
{TABLE}LOGISTIC                       1          Operation is working on an unsupported data type
CONV_2D                        30         Mapped to Edge TPU
CONV_2D                        2          More than one subgraph is not supported
edgetpu-custom-op              1          Operation not supported
"""
NONE = (
    HEAD.format(subgraphs=0, total=2)
    + TABLE
    + "CONV_2D                        2          Operation version not supported\n"
)

PROGRAM = """#!{python}
import os, shutil, sys, time
folder = sys.argv[sys.argv.index("-o") + 1]
assert sys.argv[1] == "-s" and sys.argv[-1].startswith(folder) and len(sys.argv) == 5, sys.argv
assert open(sys.argv[-1], "rb").read(8)[4:] == b"TFL3"
print({said!r}, flush=True)
{then}
"""


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled_tflite: bytes) -> Callable[..., Path]:
    """Puts a program called edgetpu_compiler on PATH, which says and writes what it is told."""
    folder = tmp_path / "a folder; with blanks"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(said: str, *, writes: bytes | None = compiled_tflite, then: str = "") -> Path:
        path = folder / "edgetpu_compiler"
        if writes is not None:
            (tmp_path / "written").write_bytes(writes)
            then += f"\nshutil.copy({str(tmp_path / 'written')!r}, folder + '/model_edgetpu.tflite')"
        path.write_text(PROGRAM.format(python=sys.executable, said=said, then=then))
        path.chmod(0o755)
        return find_compiler(system="Linux", machine="x86_64")

    return make


def compile_shipped(compiler: Path, name: str = "keypoints-int8", **options) -> EdgeTpuModel:
    return compile_for_edgetpu(read_model_file(shipped_model(name)), compiler, **options)


def refusal(compiler: Path, **options) -> str:
    """The error without the compiler's path."""
    with pytest.raises(InputError) as caught:
        compile_shipped(compiler, **options)
    return str(caught.value).replace(str(compiler), "COMPILER").replace(str(shipped_model()), "MODEL")


# the log


def test_the_version_and_the_table_are_read():
    log = parse_log(SOME)
    assert log.version == "Edge TPU Compiler version 16.0.123456789"
    assert log.operators[1] == MappedOperators("CONV_2D", 30, "Mapped to Edge TPU")
    assert log.mapped == 30
    assert log.on_cpu == (
        "1 LOGISTIC: Operation is working on an unsupported data type",
        "2 CONV_2D: More than one subgraph is not supported",
        "1 edgetpu-custom-op: Operation not supported",
    )


def test_nothing_before_the_table_is_taken_for_a_row():
    assert [row.name for row in parse_log(ALL).operators] == ["CONV_2D", "ADD"]


@pytest.mark.parametrize(
    "text", ["", "hello\n" * 9, "Operator Count", TABLE, TABLE + "CONV_2D many Mapped to Edge TPU\n"]
)
def test_other_texts_have_no_rows(text: str):
    assert (parse_log(text).version, parse_log(text).operators) == ("", ())


# the compiler


def test_a_machine_that_the_compiler_does_not_run_on():
    with pytest.raises(MissingPartError) as caught:
        find_compiler(system="Linux", machine="aarch64")
    assert str(caught.value) == (
        f"edgetpu_compiler runs on x86-64 Linux only, this is Linux on aarch64; compile there: {DOCUMENTATION}"
    )


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPartError) as caught:
        find_compiler(system="Linux", machine="x86_64")
    assert str(caught.value) == f"edgetpu_compiler is not on PATH; install it as {DOCUMENTATION} says"


# what comes out


def test_a_compiled_file_has_a_card_of_its_own(compiler, compiled_tflite: bytes):
    source = read_model_file(shipped_model())
    result = compile_shipped(compiler(SOME))
    assert result.flatbuffer == compiled_tflite
    assert result.card.operators == (Operator(name="edgetpu-custom-op", version=1, count=1),)
    assert (result.card.precision, result.card.name, result.card.accuracy) == ("int8", source.card.name, {})
    compilation = result.card.edgetpu
    assert (compilation.compiler, compilation.mapped) == ("Edge TPU Compiler version 16.0.123456789", 30)
    assert compilation.on_cpu == result.log.on_cpu
    assert compilation.source_sha256 == source.sha256


def test_a_compiled_file_is_written_with_the_golden_cases_of_its_source(compiler, tmp_path: Path):
    path = tmp_path / "out.tflite"
    compile_shipped(compiler(ALL)).save(path)
    read = read_model_file(path)
    assert read.card.edgetpu.mapped == 33
    assert len(read.golden) == len(read_model_file(shipped_model()).golden)
    with pytest.raises(ModelFileError, match="add --accelerator edgetpu"):
        open_model(path)


def test_a_compiled_file_is_not_written_over_another(compiler, tmp_path: Path):
    path = tmp_path / "out.tflite"
    path.write_text("mine")
    with pytest.raises(InputError, match="already exists"):
        compile_shipped(compiler(ALL)).save(path)


def test_nothing_is_left_behind(compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    compile_shipped(compiler(ALL))
    refusal(compiler(ALL, then="sys.exit(1)"))
    assert not [*scratch.iterdir()]


# what is refused


def test_a_float_file(compiler):
    with pytest.raises(InputError, match=r"keypoints-float32\.tflite is float32, expected int8: "):
        compile_shipped(compiler(ALL), "keypoints-float32")


def test_success_with_nothing_mapped(compiler):
    uncompiled = read_model_file(shipped_model()).flatbuffer
    assert refusal(compiler(NONE, writes=uncompiled)) == (
        "COMPILER mapped nothing of MODEL to the Edge TPU: 2 CONV_2D: Operation version not supported; see "
        f"{DOCUMENTATION}"
    )


def test_success_with_nothing_mapped_and_nothing_said(compiler):
    uncompiled = read_model_file(shipped_model()).flatbuffer
    assert ": it does not say why; see " in refusal(compiler("done", writes=uncompiled))


def test_a_model_that_the_compiler_refuses(compiler):
    said = (
        "Edge TPU Compiler version 16.0.1\nERROR: Didn't find op for builtin opcode 'CONV_2D' version '6'\n\nAborting\n"
    )
    assert refusal(compiler(said, then="sys.exit(1)")) == (
        "COMPILER refused MODEL (exit code 1): ERROR: Didn't find op for builtin opcode 'CONV_2D' version '6'; "
        f"{DOCUMENTATION} lists what it takes"
    )


def test_a_compiler_that_fails_after_it_wrote(compiler):
    then = "import atexit; atexit.register(os._exit, 3)"
    assert "refused MODEL (exit code 3): ADD" in refusal(compiler(ALL, then=then))


def test_a_compiler_that_crashes(compiler):
    assert "refused MODEL (SIGABRT): hello" in refusal(compiler("hello", then="os.abort()"))


@pytest.mark.parametrize(("then", "timeout_s"), [("time.sleep(60)", 1), ("while True: print('x' * 999)", 60)])
def test_a_compiler_that_does_not_end(compiler, then: str, timeout_s: float):
    assert refusal(compiler("working", then=then), timeout_s=timeout_s) == (
        f"COMPILER was stopped: not done with MODEL after {timeout_s} s, or said over a megabyte; "
        "run it by hand to see why"
    )


def test_a_compiler_that_writes_nothing(compiler):
    assert refusal(compiler(ALL, writes=None)) == (
        "COMPILER ended without an error but wrote no model_edgetpu.tflite; is it the Edge TPU's compiler?"
    )


@pytest.mark.parametrize("writes", [b"", b"no flatbuffer", b"\x1c\0\0\0TFL3" + bytes(range(200))])
def test_a_compiler_that_writes_no_flatbuffer(compiler, writes: bytes):
    assert refusal(compiler(ALL, writes=writes)).startswith(
        "COMPILER wrote no TFLite flatbuffer: the flatbuffer cannot be"
    )


def test_a_compiler_that_cannot_be_run(tmp_path: Path):
    path = tmp_path / "edgetpu_compiler"
    path.write_bytes(b"\x7fELF of another machine")
    path.chmod(0o755)
    with pytest.raises(MissingPartError) as caught:
        compile_shipped(path)
    assert str(caught.value) == f"{path} cannot be run: Exec format error; install it as {DOCUMENTATION} says"


def test_what_list_operators_says_of_a_compiled_flatbuffer(compiled_tflite: bytes):
    assert [operator.name for operator in list_operators(compiled_tflite)] == ["edgetpu-custom-op"]
