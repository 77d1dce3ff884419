from __future__ import annotations

import importlib
import pkgutil

import pytest

import fkp_edge

# What users and other stages import. A change here is a change for them. The stream's stand in tests/stream.
EXPORTS = {
    "fkp_edge": "__version__",
    "fkp_edge.comparison": "Comparison LabelledCrops Loss compare error_by_face labelled_crops predict_crops "
    "relative_loss worst",
    "fkp_edge.closing": "Closing",
    "fkp_edge.cli": "DEFAULT_STREAM build_parser main",
    "fkp_edge.data": "FaceSet Scene find_pictures load load_one read_ibug_folder read_kaggle read_kaggle_test "
    "read_muct read_picture read_pts read_scenes",
    "fkp_edge.device": "Engine EngineSettings FakeCamera HaarDetector HaarSettings InlineSearch Runtime StillFinder "
    "ThreadedSearch open_source",
    "fkp_edge.device.board": "THROTTLING Board read_board",
    "fkp_edge.device.doctor": "CHECKS Finding Machine examine",
    "fkp_edge.draw": "draw_face draw_points sheet",
    "fkp_edge.edgetpu": "CUSTOM_OPERATOR Accelerator Device Probe check_made_for diagnose find_devices "
    "made_for open_edgetpu read_probe",
    "fkp_edge.effect": "GLASSES Picture draw_glasses place read_effect",
    "fkp_edge.errors": "AcceleratorError FkpEdgeError InputError MissingPartError ModelFileError SourceError "
    "StreamError",
    "fkp_edge.evaluate": "MATCH CropKind Evaluation Propose evaluate evaluate_scenes judge_boxes",
    "fkp_edge.files": "move read_bounded write_whole",
    "fkp_edge.geometry": "CROP_SIZE HAAR_JITTER TRACK_JITTER Box Crop Jitter box_around crop_from_box crop_from_labels "
    "crop_from_track extract iou jittered tracked_crop",
    "fkp_edge.interpreter": "Arithmetic KeypointModel list_operators open_model",
    "fkp_edge.journal": "CameraLog is_journal log_to_journal with_level",
    "fkp_edge.keypoints": "FKP15 IBUG68 SCHEMAS Points Schema from_ibug68 schema_named to_fkp15",
    "fkp_edge.litert": "TfliteRuntime find_runtime",
    "fkp_edge.metrics": "bootstrap_interval bootstrap_ratio ced_auc face_nme point_distances roc_auc summarise",
    "fkp_edge.model_file": " ".join(
        (
            "Card",
            "Compilation",
            "GoldenCase",
            "ModelFile",
            "Operator",
            "encode_model_file",
            "read_model_file",
            "write_model_file",
        )
    ),
    "fkp_edge.model_place": "Placement install_model previous_of roll_back",
    "fkp_edge.models": "find_model shipped_model",
    "fkp_edge.observation": "Face Frame Observation State",
    "fkp_edge.pages": "Section Table html_page markdown",
    "fkp_edge.programs": "Ended run_program",
    "fkp_edge.settings": "Seconds Settings Share format_toml parse_settings read_toml read_values",
    "fkp_edge.verify": "STAGES TOLERANCES Difference Tolerance Verification verify",
}

COMMANDS = "commands edgetpu_probe"
"""What stands behind the command line, and may change with it."""
ELSEWHERE = "app bench convert stream train"
"""Stages: the stream's exports are pinned in its own tests, those of the others are their commands."""

MODULES = [i.name for i in pkgutil.walk_packages(fkp_edge.__path__, "fkp_edge.") if not i.name.endswith("__main__")]
DESKTOP = ("fkp_edge.train", "fkp_edge.convert", "fkp_edge.commands.train", "fkp_edge.commands.convert")
EXTRAS = {
    "fkp_edge.stream.web": "aiohttp",
    "fkp_edge.stream.ws_client": "aiohttp",
    "fkp_edge.stream.adapters.osc": "pythonosc",
    "fkp_edge.stream.adapters.mqtt": "paho",
}
EMPTY = (
    "fkp_edge.app",
    "fkp_edge.commands",
    "fkp_edge.stream.adapters",
    "fkp_edge.bench",
)  # imported where little may be


def load(name: str):
    if name.startswith(DESKTOP):
        pytest.importorskip("tensorflow", reason="needs fkp-edge[convert]")
    for prefix, library in EXTRAS.items():
        if name.startswith(prefix):
            pytest.importorskip(library, reason=f"{name} needs an extra")
    return importlib.import_module(name)


@pytest.mark.parametrize("name", EXPORTS)
def test_exports_are_what_they_were(name: str):
    assert " ".join(load(name).__all__) == EXPORTS[name]


def test_every_module_at_the_top_is_public_or_said_not_to_be():
    tops = {name.split(".")[1] for name in MODULES}
    pinned = {name.split(".")[1] for name in EXPORTS if "." in name}
    assert tops == pinned | {*COMMANDS.split()} | {*ELSEWHERE.split()}


@pytest.mark.parametrize("name", MODULES)
def test_every_export_exists_once(name: str):
    exported = getattr(load(name), "__all__", ())
    assert [missing for missing in exported if not hasattr(load(name), missing)] == []
    assert len(set(exported)) == len(exported)


@pytest.mark.parametrize("name", [name for name in MODULES if name not in (*DESKTOP, *EMPTY)])
def test_every_module_says_what_it_exports(name: str):
    assert load(name).__all__


def test_every_error_is_one_of_ours_and_a_builtin_one():
    errors = importlib.import_module("fkp_edge.errors")
    for name in set(EXPORTS["fkp_edge.errors"].split()) - {"FkpEdgeError"}:
        bases = getattr(errors, name).__mro__
        assert errors.FkpEdgeError in bases
        assert {ValueError, ImportError, OSError} & set(bases)
