"""What was looked at in the guest, what was found, and whether that is as it should be."""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["Check", "Report", "exposure", "failing", "steps_of"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    good: bool
    found: str
    """What was seen, in one line."""


@dataclass
class Report:
    """The checks of one system, in order, and what was measured."""

    system: str
    checks: list[Check] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    def check(self, name: str, good: bool, found: object = "") -> bool:
        """Keeps and shows one check, in the place of an earlier one of that name; whether it is good."""
        text = re.sub(r"\s+", " ", str(found)).strip()[:300]
        self.checks = [check for check in self.checks if check.name != name] + [Check(name, bool(good), text)]
        passed = time.monotonic() - self._began
        print(
            f"{passed:6.0f} s {'ok  ' if good else 'FAIL'} {self.system}: {name}: {text}", file=sys.stderr, flush=True
        )
        return bool(good)

    def figure(self, name: str, value: Any) -> None:
        """Keeps and shows one figure."""
        self.figures[name] = value
        print(f"         {self.system}: {name} = {json.dumps(value)}", file=sys.stderr, flush=True)

    @property
    def failed(self) -> list[str]:
        """Names of the checks that are not good."""
        return [check.name for check in self.checks if not check.good]

    @classmethod
    def read(cls, system: str, kept: dict[str, Any]) -> Self:
        """What `as_dict` gave; for nothing, one without checks."""
        return cls(system, [Check(**check) for check in kept.get("checks", [])], kept.get("figures", {}))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        checks = [{"name": check.name, "good": check.good, "found": check.found} for check in self.checks]
        return {"system": self.system, "figures": self.figures, "checks": checks}


def exposure(analysis: str) -> float:
    """The figure in what `systemd-analyze security` printed.

    Raises:
        ValueError: there is none.
    """
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", analysis)
    if found is None:
        raise ValueError(f"no exposure level in {analysis[-200:]!r}")
    return float(found[1])


def failing(doctor: str) -> list[str]:
    """The checks of `fkp-edge doctor --json` that fail or warn: `name: text`.

    Raises:
        ValueError: it is not the doctor's JSON.
    """
    checks = json.loads(doctor)["checks"]
    return [f"{check['name']}: {check['text']}" for check in checks if check["status"] in ("fail", "warn")]


def steps_of(output: str) -> list[str]:
    """The commands that install.sh printed as it ran them."""
    return [line[2:] for line in output.splitlines() if line.startswith("+ ")]
