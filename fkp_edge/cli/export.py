"""`fkp-edge export`: a recording as CSV."""

from __future__ import annotations

from argparse import Namespace

from fkp_edge.stream.recording.spreadsheet import export_csv

__all__ = ["export"]


def export(args: Namespace) -> int:
    """Writes a row a face."""
    print(f"{args.out}: {export_csv(args.recording, args.out)} rows")
    return 0
