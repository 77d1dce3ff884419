"""Commands whose stdin, stdout or stderr are closed: what they open does not take those numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LOOK = """
import os, sys
from fkp_edge.cli.terminal import open_standard_files
open_standard_files()
print("to nobody", file=sys.stderr)
print("to nobody")
first = os.open("/dev/null", os.O_RDONLY)
os.write(int(sys.argv[1]), str(first).encode())
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_their_numbers_are_taken(tmp_path: Path, closed: str) -> None:
    script = f'exec 9>"{tmp_path}/first"; exec "{sys.executable}" -c "$1" 9 {closed}'
    subprocess.run(["bash", "-c", script, "bash", LOOK], check=True, stdin=subprocess.DEVNULL)
    assert int((tmp_path / "first").read_text()) > 2


def test_an_error_with_stderr_closed_is_exit_code_2() -> None:
    script = f'exec "{sys.executable}" -m fkp_edge predict none.jpg 2>&-'
    ended = subprocess.run(["bash", "-c", script], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
