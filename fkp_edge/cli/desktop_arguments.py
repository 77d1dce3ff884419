"""What the commands of the desktop take: train, convert, and data."""

from __future__ import annotations

import argparse
from pathlib import Path

from fkp_edge.cli.arguments import (
    Commands,
    add_data,
    add_model,
    add_trust,
    model,
    percent,
    positive,
    seconds,
    share,
    threads,
)

__all__ = ["add_data_commands", "add_desktop_commands"]


def add_desktop_commands(commands: Commands) -> None:
    train = commands.add_parser("train", help="train a recipe (desktop; needs fkp-edge[train])")
    train.add_argument("recipe", type=Path, metavar="RECIPE", help="TOML file, such as train/keypointnet.toml")
    add_data(train, "folder that the recipe's folders lie in")
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the run")
    train.add_argument(
        "--start",
        type=Path,
        metavar="MODEL",
        help="model.keras of an earlier run, or a float .tflite such as keypoints-float32, to go on from",
    )
    train.add_argument(
        "--sweep",
        type=Path,
        metavar="FILE",
        help="TOML file of changes to the recipe: trains it with each table's, a line of figures each in --out",
    )
    add_trust(train)
    train.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in --out")

    label = commands.add_parser("label", help="pictures or a video -> labelled faces to train on")
    label.add_argument("source", type=Path, metavar="PATH", help="picture, folder of pictures, or video")
    label.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the faces and their points")
    label.add_argument(
        "--teacher",
        default="keypoints68-int8",
        metavar="MODEL",
        help="what marks them: a model file or shipped name, or mediapipe (needs fkp-edge[label]) "
        "(default: keypoints68-int8)",
    )
    label.add_argument(
        "--habit",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="for mediapipe: folders of faces labelled by hand, whose points it learns to set; or the about/habit.npz "
        "that an earlier run left",
    )
    label.add_argument("--schema", choices=("ibug68", "fkp15"), default="ibug68", help="points (default: ibug68)")
    label.add_argument(
        "--sure",
        type=share,
        default=0.05,
        metavar="SHARE",
        help="leave out faces where picture and mirror image disagree by more of the eye distance (default: 0.05)",
    )
    label.add_argument(
        "--every", type=seconds, default=0.5, metavar="S", help="of a video, look at a frame every S s (default: 0.5)"
    )

    adapt = commands.add_parser("adapt", help="your labelled faces -> a network for them (desktop; fkp-edge[convert])")
    adapt.add_argument(
        "model", type=model, metavar="MODEL", help="what to start from: a float model file, such as keypoints-float32"
    )
    add_data(adapt, "your faces: a folder of .pts beside their pictures, or of such folders, as label makes them")
    adapt.add_argument(
        "--out", type=Path, required=True, metavar="FILE.tflite", help="int8 file; float32 goes beside it"
    )
    adapt.add_argument(
        "--held-out",
        type=Path,
        metavar="DIR",
        help="your faces that judge (default: the last quarter of each folder's names)",
    )
    adapt.add_argument(
        "--original",
        type=Path,
        metavar="DIR",
        help="the data that MODEL learnt from: trains with it, so that less is forgotten, and judges on it, too",
    )
    adapt.add_argument("--epochs", type=positive, default=10, metavar="N", help="of training (default: 10)")
    adapt.add_argument(
        "--max-loss",
        type=percent,
        default=1.0,
        metavar="P%",
        help="refuse what may lose more of the NME on the original validation faces, or to int8 (default: 1%%)",
    )
    adapt.add_argument("--overwrite", action="store_true", help="replace files that exist")
    adapt.add_argument("--json", action="store_true", help="print the report as JSON")

    convert = commands.add_parser("convert", help="float network -> int8 TFLite (desktop; needs fkp-edge[convert])")
    convert.add_argument(
        "model", type=Path, metavar="MODEL", help="model.keras of a training run, your .keras or .h5, or a SavedModel"
    )
    convert.add_argument("recipe", type=Path, nargs="?", metavar="RECIPE", help="TOML file (default: plain int8)")
    add_data(convert, "folder with the labelled faces that the network was trained and validated on")
    wanted = convert.add_mutually_exclusive_group(required=True)
    wanted.add_argument(
        "--out", type=Path, metavar="FILE.tflite", help="int8 file; float32 and the report go beside it"
    )
    wanted.add_argument(
        "--scan", type=Path, metavar="DIR", help="instead: which layers can lose filters, and what that costs"
    )
    convert.add_argument(
        "--max-loss", type=percent, metavar="P%", help="refuse what may lose more of the NME (default: the recipe's)"
    )
    convert.add_argument(
        "--edgetpu", action="store_true", help="also compile for the Edge TPU (needs the vendor's edgetpu_compiler)"
    )
    convert.add_argument(
        "--require-all-mapped", action="store_true", help="refuse what the compiler leaves partly to the CPU"
    )
    add_trust(convert)
    convert.add_argument("--worst", type=Path, metavar="FILE.png", help="draw the faces that lost most")
    convert.add_argument("--overwrite", action="store_true", help="replace files that exist")
    convert.add_argument("--json", action="store_true", help="print the report as JSON")


def add_data_commands(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    file_help = "labelled faces: Kaggle's CSV or zip, MUCT's CSV, or a folder of .pts"

    describe = actions.add_parser("describe", help="rows, missing values, spread, duplicates, suspicious labels")
    describe.add_argument("file", type=Path, metavar="FILE", help=file_help)
    describe.add_argument(
        "--picture", type=Path, metavar="FILE.png", help="draw the mean face and the spread of points"
    )
    describe.add_argument("--json", action="store_true", help="print the description as JSON")

    samples = actions.add_parser("samples", help="draw a sheet of faces with their points")
    samples.add_argument("file", type=Path, metavar="FILE", help=file_help)
    samples.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="the sheet")
    samples.add_argument("--count", type=positive, default=32, metavar="N", help="faces (default: 32)")
    samples.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")

    submit = actions.add_parser("submit", help="predict Kaggle's test set and write the submission file")
    add_model(submit)
    submit.add_argument("--threads", type=threads, default=1, help="CPU threads of the network (default: 1)")
    add_data(submit, "folder with Kaggle's test.csv or .zip and IdLookupTable.csv")
    submit.add_argument("--out", type=Path, required=True, metavar="FILE.csv", help="the submission")

    kaggle = actions.add_parser("kaggle", help="fetch the competition's files through the kaggle client")
    kaggle.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files")
