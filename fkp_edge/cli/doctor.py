"""`fkp-edge doctor`: what each check found, one line each."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict

from fkp_edge.device.doctor import Finding, Machine, examine

__all__ = ["doctor", "format_findings"]

MARKS = {"ok": "ok", "warning": "warn", "failed": "FAIL", "none": "-"}


def doctor(args: Namespace) -> int:
    """Prints all findings; 1 where a check failed."""
    findings = examine(Machine(config=args.config, model=args.model))
    failed = sum(finding.status == "failed" for finding in findings.values())
    if args.json:
        checks = [{"number": n, "name": name} | asdict(f) for n, (name, f) in enumerate(findings.items(), 1)]
        print(json.dumps({"failed": failed, "checks": checks}, indent=1))
    else:
        print(format_findings(findings))
    return 1 if failed else 0


def format_findings(findings: dict[str, Finding]) -> str:
    """A numbered line for each check, then how many failed."""
    lines = []
    for number, (name, finding) in enumerate(findings.items(), 1):
        fix = f"; fix: {finding.fix}" if finding.fix else ""
        lines.append(f"{number:>2} {MARKS[finding.status]:<5}{name + ':':<16}{finding.text}{fix}")
    counts = [sum(f.status == status for f in findings.values()) for status in ("failed", "warning")]
    return "\n".join([*lines, f"{len(findings)} checks: {counts[0]} failed, {counts[1]} warned"])
