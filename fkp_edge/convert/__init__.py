"""Conversion, on a desktop: needs the extra `convert`."""
