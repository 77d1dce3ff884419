"""Writes a conversion's report: JSON for programs, Markdown for a forge, one HTML page with plots for people."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path

import matplotlib
import msgspec

matplotlib.use("Agg")
import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from fkp_edge import report as pages
from fkp_edge.convert.report import Report, sections
from fkp_edge.core.drawing import draw_points, sheet
from fkp_edge.core.files import write_whole
from fkp_edge.core.keypoints import Points
from fkp_edge.evaluation.comparison import LabelledCrops, worst
from fkp_edge.evaluation.metrics import face_nme
from fkp_edge.report import Section

__all__ = ["draw_worst", "html_page", "markdown", "write_report"]

WORST = 20
ZOOM = 2
GREEN, ORANGE, RED = (80, 220, 80), (60, 160, 255), (60, 60, 255)


def write_report(report: Report, out: Path, worst: bytes | None = None) -> list[Path]:
    """Writes the report of the model file `out` beside it: NAME.report.json, .md and .html; their paths.

    `worst` is the picture of the worst faces (PNG), which the page then shows.
    """
    contents = {
        out.with_suffix(".report.json"): msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n",
        out.with_suffix(".report.md"): markdown(report).encode(),
        out.with_suffix(".report.html"): html_page(report, worst).encode(),
    }
    write_whole(contents)
    return list(contents)


def markdown(report: Report) -> str:
    """The report as Markdown."""
    return pages.markdown(sections(report))


def html_page(report: Report, worst: bytes | None = None) -> str:
    """The report as one HTML page that needs nothing else; `worst` as for `write_report`."""
    drawn = {"Loss step by step": _plot_steps, "By point": _plot_points, "Layers, worst first": _plot_layers}
    plots = {title: f'<img alt="{html.escape(title)}" src="{_picture(plot(report))}">' for title, plot in drawn.items()}
    found = sections(report)
    if worst:
        title = "Faces that lost most"
        said = "Labelled points green, before orange, after red; error before and after, of the eye distance."
        found.append(Section(title, [said]))
        plots[title] = f'<img alt="{title}" src="{_data_url(worst)}">'
    return pages.html_page(f"{report.name}: conversion report", found, plots, passed=report.passed)


def _picture(figure: Figure) -> str:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=100)
    plt.close(figure)
    return _data_url(data.getvalue())


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _bars(names: list[str], values: list[float], intervals: list[tuple[float, float]], allowed: float) -> Figure:
    """Relative losses with their intervals, and what is allowed."""
    figure, axes = plt.subplots(figsize=(9, 1 + 0.32 * len(names)), layout="constrained")
    low, high = np.array(intervals).T
    errors = [np.maximum(np.array(values) - low, 0), np.maximum(high - np.array(values), 0)]
    axes.barh(names, values, xerr=errors, color="#6699cc", capsize=3)
    axes.axvline(allowed, color="#cc3333", linestyle="--", label="allowed of the whole")
    axes.axvline(0, color="#222222", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_xlabel("loss, % of the NME before, with 95 % interval")
    axes.legend(loc="lower right", fontsize=8)
    return figure


def _plot_steps(report: Report) -> Figure:
    losses = {s.name: s.comparison.overall for s in report.steps} | {"in all": report.total.overall}
    values = list(losses.values())
    return _bars(
        list(losses), [v.loss_percent for v in values], [v.interval_percent for v in values], report.max_loss_percent
    )


def _plot_points(report: Report) -> Figure:
    losses = list(report.total.points.values())
    return _bars(
        list(report.total.points),
        [loss.loss_percent for loss in losses],
        [loss.interval_percent for loss in losses],
        report.max_loss_percent,
    )


def _plot_layers(report: Report) -> Figure:
    shown = report.layers[:30]
    figure, axes = plt.subplots(figsize=(9, 1 + 0.24 * len(shown)), layout="constrained")
    axes.barh([f"{i + 1}. {error.layer}" for i, error in enumerate(shown)], [error.snr_db for error in shown])
    axes.invert_yaxis()
    axes.set_xlabel(f"signal-to-noise ratio, dB; the worst {len(shown)} of {len(report.layers)}")
    return figure


def draw_worst(before: Points, after: Points, truth: LabelledCrops) -> bytes:
    """A PNG of the faces whose error grew most: labelled points green, before orange, after red.

    `before` and `after` are (N, K, 2) pixels of the crops of `truth`.
    """
    first, second = (face_nme(points, truth.points, truth.schema) for points in (before, after))
    tiles = []
    for index in worst(before, after, truth, WORST):
        tile = cv2.cvtColor(cv2.resize(truth.pixels[index], None, fx=ZOOM, fy=ZOOM), cv2.COLOR_GRAY2BGR)
        for points, color in ((truth.points[index], GREEN), (before[index], ORANGE), (after[index], RED)):
            draw_points(np.asarray(tile, np.uint8), (points + 0.5) * ZOOM - 0.5, color=color)
        caption = f"{100 * first[index]:.1f} > {100 * second[index]:.1f}%"
        cv2.putText(tile, caption, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 255, 255), 1)
        tiles.append(np.asarray(tile, np.uint8))
    return cv2.imencode(".png", sheet(tiles, columns=5))[1].tobytes()
