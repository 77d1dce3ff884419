"""The program that holds branches alone to their share."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "branches.py"


@pytest.mark.parametrize(
    ("covered", "code", "said"),
    [(950, 0, "950 of 1000 branches, 95.0 %;"), (949, 1, "949 of 1000 branches, 94.9 %;")],
)
def test_too_few_branches_fail(covered: int, code: int, said: str) -> None:
    report = json.dumps({"totals": {"covered_branches": covered, "num_branches": 1000}})
    result = subprocess.run([sys.executable, PROGRAM], input=report, capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stdout) == (code, f"{said} expected 95 % at least\n")
