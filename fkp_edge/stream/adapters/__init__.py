"""Observations as other programs expect them: OSC, VMC, opentrack, OpenSeeFace, MQTT. Nothing is made up."""

from __future__ import annotations

__all__: list[str] = []
