from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from fkp_edge.bench.compare import compare
from fkp_edge.bench.plots import bars, lines
from fkp_edge.bench.records import read_result
from fkp_edge.bench.report import check_report, html_page, markdown, write_report
from fkp_edge.bench.terminal import changes_table, terminal
from fkp_edge.errors import InputError


def test_every_figure_stands_with_its_machine(make_result):
    result = make_result()
    assert result.machine == "Raspberry Pi 5 Model B Rev 1.0, 4 x Cortex-A76, 8 GiB"
    for text in (terminal(result), markdown(result), html_page(result)):
        assert result.machine in text
        assert "LiteRT 2.3.0" in text


def test_a_short_measurement_says_that_nothing_is_steady(make_result):
    assert "Steady state: not reached; it begins after the first minute, and this took 10 s." in terminal(make_result())


def test_a_steady_state_has_rows_of_its_own(make_result):
    result = make_result()
    model = result.models[0]
    opened = msgspec.structs.replace(model.open, steady=model.closed)
    text = terminal(msgspec.structs.replace(result, models=(msgspec.structs.replace(model, open=opened),)))
    assert "a, steady: end to end" in text
    assert "not reached" not in text


def test_warnings_come_first(make_result):
    text = terminal(make_result(warnings=("the machine was slowed down",), quick=True)).splitlines()
    assert text[1] == "Warning: the machine was slowed down."
    assert text[2].startswith("Warning: --quick shows that it works;")


def test_the_page_needs_nothing_else(make_result):
    page = html_page(make_result(errors=[4.0, 5.0]))
    assert re.findall(r"https?://[^'\" ]+", page) == ["http://www.w3.org/2000/svg"] * page.count("<svg")
    assert page.count("<svg") >= 2


@pytest.mark.parametrize("suffix", [".html", ".md", ".json"])
def test_a_report_is_written_as_its_suffix_says(make_result, tmp_path: Path, suffix: str):
    path = tmp_path / f"a{suffix}"
    write_report(make_result(), path)
    text = path.read_text()
    assert text.startswith({".html": "<!doctype html>", ".md": "# fkp-edge bench", ".json": "{"}[suffix])


def test_a_json_report_can_be_compared(make_result, tmp_path: Path):
    write_report(make_result(), tmp_path / "a.json")
    assert read_result(tmp_path / "a.json") == make_result()


def test_an_unknown_suffix_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"a\.pdf has no known suffix; expected \.html, \.md, \.json"):
        check_report(tmp_path / "a.pdf", overwrite=False)


def test_a_report_that_exists_is_kept(tmp_path: Path):
    path = tmp_path / "a.md"
    path.touch()
    with pytest.raises(InputError, match=r"a\.md already exists; name another --report or add --overwrite"):
        check_report(path, overwrite=False)
    check_report(path, overwrite=True)


def test_a_comparison_of_machines_says_so_first(make_result, board):
    other = msgspec.structs.replace(board, cores=2)
    text = changes_table(compare(make_result(), make_result(before=other)))
    assert text.startswith("DIFFERENT MACHINES")
    assert "4 x Cortex-A76" in text
    assert "2 x Cortex-A76" in text


def test_plots_are_drawn_to_scale():
    plot = ElementTree.fromstring(bars({"g": {"a <b>": (1.0, None), "c": (2.0, (1.5, 2.5))}}, label="ms"))
    svg = "{http://www.w3.org/2000/svg}"
    wide = [float(rect.get("width")) for rect in plot.findall(f"{svg}rect")][-2:]
    assert wide[1] == pytest.approx(2 * wide[0], abs=0.2)


def test_lines_go_through_their_points():
    plot = ElementTree.fromstring(lines({"a": [(0, 0), (1, 5), (2, 10)], "law": [(0, 0), (2, 10)]}, labels=("x", "y")))
    circles = plot.findall("{http://www.w3.org/2000/svg}circle")
    places = [(float(c.get("cx")), float(c.get("cy"))) for c in circles][:3]
    assert places[1] == pytest.approx(((places[0][0] + places[2][0]) / 2, (places[0][1] + places[2][1]) / 2), abs=0.2)
