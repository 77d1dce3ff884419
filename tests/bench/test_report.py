from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from fkp_edge.bench.compare import compare
from fkp_edge.bench.records import Result, read_result
from fkp_edge.bench.report import check_report, html_page, markdown, sections, write_report
from fkp_edge.cli.bench import changes_table, terminal
from fkp_edge.errors import InputError
from fkp_edge.evaluation.comparison import Comparison, Loss
from fkp_edge.report import bars, lines


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
    opened = replace(model.open, steady=model.closed)
    text = terminal(replace(result, models=(replace(model, open=opened),)))
    assert "a, steady: end to end" in text
    assert "not reached" not in text


def test_one_sentence_comes_first_then_the_warnings(make_result):
    verdict, empty, _, *warnings = terminal(
        make_result(warnings=("the machine was slowed down",), quick=True)
    ).splitlines()
    assert re.fullmatch(r"a follows a face at \d+ frames/s here.* for a camera of 30 frames/s .*", verdict)
    assert empty == ""
    assert warnings[0] == "Warning: the machine was slowed down."
    assert warnings[1].startswith("Warning: --quick shows that it works;")


def test_the_page_needs_nothing_else(make_result):
    page = html_page(make_result(errors=[4.0, 5.0]))
    assert re.findall(r"https?://[^'\" ]+", page) == ["http://www.w3.org/2000/svg"] * page.count("<svg")
    assert page.count("<svg") >= 2


@pytest.fixture
def of_two_schemas(make_result) -> Result:
    """A baseline and its int8 file of 15 points, and as many of 68, with the accuracy of each on its own faces."""
    point = Loss(faces=2, before_percent=4.0, after_percent=5.0, loss_percent=25.0, interval_percent=(20.0, 30.0))
    rmse = {"nose": (1.0, 1.0)}
    loss = Comparison(
        overall=point, sets={}, points={"nose": point}, rmse_px=(1.0, 1.0), rmse_px_by_point=rmse, moved_px=1.0
    )
    models = []
    for schema, errors in (("fkp15", [4.0, 5.0]), ("ibug68", [4.0, 5.0, 6.0])):
        (model,) = make_result(errors=errors).models
        for name in ("float32", "int8"):
            accuracy = replace(
                model.accuracy, baseline=f"{schema}-float32.tflite", loss=loss if name == "int8" else None
            )
            models.append(replace(model, model=f"{schema}-{name}.tflite", schema=schema, accuracy=accuracy))
    return make_result(models=tuple(models))


def test_accuracy_is_shown_by_schema_with_its_baseline(of_two_schemas):
    found = {section.title: section for section in sections(of_two_schemas)}
    first = found["Accuracy of fkp15 against fkp15-float32"]
    second = found["Accuracy of ibug68 against ibug68-float32"]
    assert [row[0] for row in first.table.rows] == ["fkp15-float32", "fkp15-int8"]
    assert [row[0] for row in second.table.rows] == ["ibug68-float32", "ibug68-int8"]
    assert first.lines[0].startswith("2 crops of drawn (2 faces): ")
    assert second.lines[0].startswith("3 crops of drawn (3 faces): ")


def test_points_are_shown_by_schema_with_their_baseline(of_two_schemas):
    found = {section.title: section for section in sections(of_two_schemas)}
    section = found["Accuracy of ibug68 by point"]
    assert section.lines == ["Before is ibug68-float32."]
    assert [row[0] for row in section.table.rows] == ["ibug68-int8: nose"]
    page = html_page(of_two_schemas)
    after = page.split("Accuracy of ibug68 by point</h2>")[1]
    assert after.count("<svg") == 1


def test_what_each_model_ran_on_is_said(make_result):
    result = make_result()
    text = terminal(replace(result, models=(replace(result.models[0], accelerator="edgetpu"),)))
    assert "integer  Edge TPU" in text
    assert re.search("integer +CPU", terminal(result))


def test_what_is_gone_is_shown_as_none(make_result):
    result = make_result()
    start = replace(result.models[0].start[0], first_keypoints_s=None)
    after = replace(result, models=(replace(result.models[0], start=(start,)),))
    (row,) = [line for line in changes_table(compare(result, after)).splitlines() if line.startswith("a, start: first")]
    assert row.split()[-3:] == ["0.600", "none", "worse"]


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
    other = replace(board, cores=2)
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
