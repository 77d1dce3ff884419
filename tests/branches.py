"""Fails where the tests take too few of the branches. coverage's own `fail_under` counts lines and branches together.

coverage json --fail-under=0 -o - | python tests/branches.py
"""

from __future__ import annotations

import json
import sys

LEAST = 95.0
"""Per cent."""


def verdict(report: dict[str, dict[str, int]]) -> tuple[str, bool]:
    """What to say of coverage's JSON report, and whether enough branches were taken."""
    totals = report["totals"]
    share = 100 * totals["covered_branches"] / totals["num_branches"]
    found = f"{totals['covered_branches']} of {totals['num_branches']} branches, {share:.1f} %"
    return f"{found}; expected {LEAST:g} % at least", share >= LEAST


if __name__ == "__main__":
    said, is_enough = verdict(json.load(sys.stdin))
    print(said)
    sys.exit(not is_enough)
