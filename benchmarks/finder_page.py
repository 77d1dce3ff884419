"""Writes the results of benchmarks/finder.py into docs/finder.md, between its marks."""

from __future__ import annotations

import json
from typing import Any

from performance_page import REPOSITORY, RESULTS, fill, table

__all__ = ["PAGE", "blocks"]

PAGE = REPOSITORY / "docs/finder.md"


def blocks(record: dict[str, Any]) -> dict[str, str]:
    """Mark -> what stands there."""
    return {
        "network": _network(record),
        "photographs": _photographs(record["test_scenes"]),
        "sizes": table(
            ("side", "faces", "whole frame", "and its four parts"),
            [
                (
                    f"{r['side_px']} px",
                    str(r["faces"]),
                    f"{r['whole_percent']:.1f} %",
                    f"{r['with_parts_percent']:.1f} %",
                )
                for r in record["sizes"]
            ],
        ),
        "turned": table(
            ("turned by", "faces", "finder", "Haar, upright"),
            [
                (
                    f"{row['degrees']} degrees",
                    str(row["finder"]["faces"]),
                    *(f"{row[way]['confirmed_percent']:.1f} %" for way in ("finder", "haar")),
                )
                for row in record["turned_val_scenes"]
            ],
        ),
        "people": _people(record["held_out_utkface"]),
    }


def _network(record: dict[str, Any]) -> str:
    counted = record["instructions"]
    rows = [
        (f"Pi {board[-1]}", f"{c['network'] / 1e6:.1f} M", f"{c['look'] / 1e6:.1f} M") for board, c in counted.items()
    ]
    head = ("core of a", "instructions of the network", "of a whole look at 640x480")
    times = (
        f"A search of Haar takes {record['haar_over_finder_cpu']:.1f} times the CPU time of a look (x86-64, 640x480)."
    )
    return f"{table(head, rows)}\n\n{times}"


def _photographs(ways: dict[str, Any]) -> str:
    names = sorted(ways["finder"], key=lambda name: (name != "all", name))
    rows = [
        (
            name,
            str(ways["finder"][name]["faces"]),
            *(f"{ways[way][name]['proposed_percent']:.1f} %" for way in ("finder", "everywhere", "haar")),
        )
        for name in names
    ]
    return table(("faces", "number", "whole picture", "and parts", "Haar"), rows)


def _people(ways: dict[str, Any]) -> str:
    """Bands in the order of ages, then sexes and groups."""
    groups = ways["finder"]["as_is"]

    def place(name: str) -> tuple[int, int, str]:
        age = name.split()[0]
        return (name != "all", int(age) if age.isdigit() else 1000, name)

    kinds = [("finder", "as_is"), ("finder", "set_in"), ("haar", "as_is")]
    rows = [
        (
            name,
            str(groups[name]["chips"]),
            *(f"{ways[way][kind][name]['confirmed_percent']:.1f} %" for way, kind in kinds),
        )
        for name in sorted(groups, key=place)
    ]
    return table(("who", "chips", "finder, as they are", "finder, set in", "Haar, as they are"), rows)


def main() -> None:
    text = PAGE.read_text()
    for name, block in blocks(json.loads((RESULTS / "finder.json").read_text())).items():
        text = fill(text, name, block)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
