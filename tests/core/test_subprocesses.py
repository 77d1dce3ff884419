from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from fkp_edge.core.subprocesses import MAX_OUTPUT_BYTES, run_program


def run_python(code: str, *, timeout_s: float = 20, **options):
    return run_program([sys.executable, "-c", code], timeout_s=timeout_s, **options)


def test_exit_code_and_both_outputs():
    ended = run_python("import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)")
    assert (ended.code, ended.output, ended.signal) == (3, "out\nerr\n", "")


def test_what_is_given_comes_on_stdin():
    ended = run_python("import sys; print(len(sys.stdin.buffer.read()))", given=bytes(10**6))
    assert ended.output == "1000000\n"


def test_an_environment():
    assert run_python("import os; print(os.environ['A'])", environment={"A": "b"}).output == "b\n"


def test_a_crash_is_named():
    ended = run_python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert (ended.code, ended.signal) == (-11, "SIGSEGV")


def test_one_that_hangs_is_stopped_with_what_it_started():
    start = time.monotonic()
    ended = run_python("import os; print('on', flush=True); os.system('sleep 60')", timeout_s=1)
    assert (ended.code, ended.output) == (None, "on\n")
    assert time.monotonic() - start < 15


def test_one_that_closes_its_output_and_hangs_is_stopped():
    assert run_python("import os, time; os.close(1); os.close(2); time.sleep(60)", timeout_s=1).code is None


def test_one_that_says_too_much_is_stopped():
    ended = run_python("while True: print('x' * 1000)")
    assert (ended.code, len(ended.output)) == (None, MAX_OUTPUT_BYTES)


def test_bytes_that_are_no_text():
    assert "\ufffd" in run_python("import sys; sys.stdout.buffer.write(b'\\xff')").output


def test_a_program_that_is_not_there(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        run_program([tmp_path / "none"], timeout_s=1)
