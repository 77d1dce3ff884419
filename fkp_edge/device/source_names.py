"""One name for each source, however a person writes it. Imports no library: `doctor` works where none is installed."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["ALIASES", "NAMES", "canonical_name"]

NAMES = ("auto", "picamera", "usb", "demo")
ALIASES = {
    **dict.fromkeys(("webcam", "camera", "v4l2"), "usb"),
    **dict.fromkeys(("picamera2", "picam", "libcamera", "csi"), "picamera"),
}


def canonical_name(text: str) -> str:
    """One name for each camera, however it is written; whatever else comes back as it is, files of such names too."""
    name = text.lower()
    if text in NAMES:
        return text
    if not text.startswith("/dev/") and Path(text).exists():
        return text
    if name in NAMES or name in ALIASES:
        return ALIASES.get(name, name)
    if re.fullmatch(r"\d{1,3}", text):
        return f"v4l2:{int(text)}"
    node = str(Path(text).resolve()) if text.startswith("/dev/v4l/") else text  # names that last, by port or serial
    if match := re.fullmatch(r"/dev/video(\d{1,3})", node):
        return f"v4l2:{match[1]}"
    return text
