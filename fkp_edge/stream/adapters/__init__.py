"""Observations as other programs expect them: OSC, opentrack and MQTT. Only what was measured is sent."""

from __future__ import annotations

__all__: list[str] = []
