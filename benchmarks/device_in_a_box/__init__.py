"""Debian booted in QEMU with fkp-edge as its service: what `device_in_a_box.py` is made of."""
