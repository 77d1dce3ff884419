"""All checks, in the order in which a person would go about it: system, libraries, camera, board, service."""

from __future__ import annotations

from collections.abc import Callable

from fkp_edge.device.doctor import camera, condition, installation, service
from fkp_edge.device.doctor.finding import Finding, warns
from fkp_edge.device.doctor.machine import Machine

__all__ = ["CHECKS", "examine"]

CHECKS: dict[str, Callable[[Machine], Finding]] = {
    "Python": installation.check_python,
    "system": installation.check_system,
    "wheels": installation.check_wheels,
    "environment": installation.check_environment,
    "NumPy": installation.check_numpy,
    "OpenCV": installation.check_opencv,
    "TFLite runtime": installation.check_runtime,
    "camera": camera.check_camera,
    "camera in use": camera.check_holders,
    "permissions": camera.check_permissions,
    "power": condition.check_power,
    "throttling": condition.check_throttling,
    "temperature": condition.check_temperature,
    "governor": condition.check_governor,
    "disk": condition.check_disk,
    "clock": condition.check_clock,
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
