"""Checks of a device, each with its finding and its fix: `fkp-edge doctor`. Starts with Python alone."""

from __future__ import annotations

from fkp_edge.device.doctor.examination import CHECKS, examine
from fkp_edge.device.doctor.finding import Finding
from fkp_edge.device.doctor.machine import Machine

__all__ = ["CHECKS", "Finding", "Machine", "examine"]
