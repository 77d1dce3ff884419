"""Checks of a device, each with its finding and its fix: `fkp-edge doctor`. Starts with Python alone."""

from __future__ import annotations

from collections.abc import Callable

from fkp_edge.device.doctor import hardware, installation, service
from fkp_edge.device.doctor.machine import Finding, Machine, warns

__all__ = ["CHECKS", "Finding", "Machine", "examine"]

CHECKS: dict[str, Callable[[Machine], Finding]] = {
    "Python": installation.check_python,
    "system": installation.check_system,
    "wheels": installation.check_wheels,
    "environment": installation.check_environment,
    "NumPy": installation.check_numpy,
    "OpenCV": installation.check_opencv,
    "TFLite runtime": installation.check_runtime,
    "camera": hardware.check_camera,
    "camera in use": hardware.check_holders,
    "permissions": hardware.check_permissions,
    "power": hardware.check_power,
    "throttling": hardware.check_throttling,
    "temperature": hardware.check_temperature,
    "governor": hardware.check_governor,
    "disk": hardware.check_disk,
    "clock": hardware.check_clock,
    "configuration": service.check_config,
    "ports": service.check_ports,
    "model": service.check_model,
    "Coral": service.check_coral,
    "display": service.check_display,
    "service": service.check_service,
}
"""Name -> what looks."""


def examine(machine: Machine) -> dict[str, Finding]:
    """Makes every check: name -> what it found, in the order of `CHECKS`."""
    return {name: _checked(check, machine) for name, check in CHECKS.items()}


def _checked(check: Callable[[Machine], Finding], machine: Machine) -> Finding:
    try:
        return check(machine)
    except OSError as error:  # a file that goes away while it is read, a program that cannot be started
        return warns(f"could not be checked: {' '.join(str(error).split())}", "run fkp-edge doctor again")
