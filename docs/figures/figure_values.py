"""Single figures of the pages, by name, from benchmarks/results/*.json: `<!-- figure NAME -->4.22<!-- / -->`.

A function per topic; its name is the first part of the names that it gives (`scenes` gives `scenes.found`). Units stand
in the pages.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fkp_edge.device.tracking.smoothing import SmoothingSettings
from fkp_edge.model.file import read_model_file
from fkp_edge.model.shipped import shipped_model

__all__ = ["figures", "results"]

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks/results"
SETS = ("afw", "ytf")


def results(name: str) -> Any:
    """What benchmarks/results/NAME.json holds."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def by_model(name: str) -> dict[str, Any]:
    """The entries of an `eval` or `instructions` result, by the stem of the model file."""
    found = results(name)
    return {
        entry["model"].removesuffix(".tflite"): entry
        for entry in (found if isinstance(found, list) else found["models"])
    }


def accuracy() -> dict[str, str]:
    haar, jitter, gt = (by_model(f"accuracy_{crops}")["keypoints-int8"]["sets"] for crops in ("haar", "jitter", "gt"))
    small = by_model("accuracy_gt")["keypoints-small-int8"]["sets"]
    found = {}
    for name in SETS:
        above = min(row[name]["tracked_nme_percent"] - row[name]["gt_nme_percent"] for row in (haar, jitter))
        found[f"{name}.int8"] = f"{gt[name]['nme_percent']:.2f}"
        found[f"{name}.small"] = f"{small[name]['nme_percent']:.2f}"
        found[f"{name}.one_look"] = f"{haar[name]['nme_percent'] - haar[name]['gt_nme_percent']:.1f}"
        found[f"{name}.tracked_above"] = f"{above:.1f}"
    return found


def scenes() -> dict[str, str]:
    every, people = (results("scenes")[name] for name in ("as_annotated", "people_left_out"))
    return {
        "found": f"{every['found_percent']:.1f}",
        "faces": f"{every['faces']}",
        "proposed": f"{every['proposed_percent']:.1f}",
        "false": f"{every['false_faces_per_photograph']:.3f}",
        "false_without_people": f"{people['false_faces_per_photograph']:.3f}",
        "auc": f"{every['score_auc']:.3f}",
        "auc_without_people": f"{people['score_auc']:.3f}",
    }


def groups() -> dict[str, str]:
    """For whom it works: the gaps of the int8 network."""
    entry = by_model("groups")["keypoints-int8"]
    found = {"pictures": f"{entry['pictures']:,}"}
    for attribute, gaps in entry["gaps"].items():
        found[f"{attribute}.found"] = f"{gaps['found']['gap_points']:.1f}"
        found[f"{attribute}.jitter"] = f"{gaps['jitter']['gap_percent']:.0f}"
    return found


def adapt() -> dict[str, str]:
    """The clips' people before and after."""
    record = results("adapt")
    found = {"faces": f"{record['faces']}"}
    for name in ("own", "original"):
        loss = record[name]
        found |= {
            f"{name}.faces": f"{loss['faces']}",
            f"{name}.before": f"{loss['before_percent']:.2f}",
            f"{name}.after": f"{loss['after_percent']:.2f}",
            f"{name}.change": f"{loss['loss_percent']:+.1f}",
        }
    return found


def file() -> dict[str, str]:
    """Sizes of the shipped files."""
    found = {"mb": f"{shipped_model().stat().st_size / 1e6:.2f}"}
    for path in shipped_model().parent.glob("keypoints*.tflite"):
        found[f"{path.stem}.flatbuffer_kb"] = f"{len(read_model_file(path).flatbuffer) / 1000:.0f}"
    return found


def instructions() -> dict[str, str]:
    counted = by_model("instructions")
    whole, small = (counted[f"keypoints{name}-int8"] for name in ("", "-small"))
    found = {"macs": f"{whole['multiply_accumulates'] / 1e6:.1f}"}
    for board, count in whole["instructions"].items():
        found[board] = f"{count / 1e6:.2f}"
        found[f"small_fewer.{board}"] = f"{100 * (1 - small['instructions'][board] / count):.0f}"
    return found


def emulated() -> dict[str, str]:
    """Whole frames and searches on the emulated boards."""
    rows = results("engine_arm64")["rows"]
    frames = {row["machine"]: row["instructions"] for row in rows}
    one = by_model("instructions")["keypoints-int8"]["instructions"]
    floats = max(off for row in rows for name, off in row["points_within_px"].items() if name.endswith("-float32"))
    found = {"float32_px": f"{floats:.1f}", "search": f"{rows[0]['instructions']['search'] / 1e6:.0f}"}
    for board in ("pi4", "pi5"):
        counts = frames[f"{board} bookworm"]
        few, many = (counts["tracked_frame"][f"{name}-int8"] for name in ("keypoints", "keypoints68"))
        found[f"{board}.frame"] = f"{few / 1e6:.2f}"
        found[f"{board}.more_68"] = f"{100 * (many / few - 1):.0f}"
        found[f"{board}.search_inferences"] = f"{counts['search'] / one[board]:.0f}"
    return found


def engine() -> dict[str, str]:
    return {"over_network": f"{results('engine_cost')['results'][0]['process_over_invoke']:.2f}"}


def stream() -> dict[str, str]:
    load = results("stream_load")["summary"]
    late, bare = load["publish_to_receive_p99_ms"], load["bare_publish_to_receive_p99_ms"]
    *moved, last = (f"{value:.0f}" for value in load["engine_p99_moved_percent"])
    return {
        "received": f"{100 * load['least_share_received']:.2f}",
        "p99": f"{min(late):.1f} to {max(late):.1f}",
        "p99_bare": f"{min(bare):.1f} to {max(bare):.1f}",
        "stale_kb": f"{load['stale_bytes_of_the_sleeper'] / 1000:.0f}",
        "grown_mb": f"{load['resident_mb_grown']}",
        "engine_moved": f"{', '.join(moved)} and {last}",
    }


def hostile() -> dict[str, str]:
    found = results("stream_hostile")
    before, after, bare = found["before"], found["after"], found["bare_aiohttp"]
    missed = max(row["missed"] / (row["read"] + row["missed"]) for row in found["readers"].values())
    return {
        "inputs": f"{found['inputs']:,}",
        "missed": f"{100 * missed:.1f}",
        "grown_mb": f"{after['resident_mb'] - before['resident_mb']:.1f}",
        "connections": f"{sum(found['sockets'].values()):,}",
        "used_mb": f"{after['malloc_used_mb'] - before['malloc_used_mb']:.1f}",
        "trimmed_mb": f"{before['resident_mb'] - after['resident_trimmed_mb']:.1f}",
        "bare_grown_mb": f"{bare['after']['resident_mb'] - bare['before']['resident_mb']:.1f}",
    }


def pose() -> dict[str, str]:
    found = results("pose")["int8_against_labels_degrees"]
    ahead, turned = found["yaw 0 to 15"], found["yaw 30 to 90"]
    return {
        "pitch": f"{ahead['pitch']['median']:.1f}",
        "pitch_p95": f"{ahead['pitch']['p95']:.1f}",
        "yaw": f"{ahead['yaw']['median']:.1f}",
        "roll": f"{ahead['roll']['median']:.1f}",
        "yaw_turned": f"{turned['yaw']['median']:.1f}",
    }


def search() -> dict[str, str]:
    tilted = next(row for row in results("tilted_search") if row["degrees"] == 35)
    default, profiles, *others = results("search_settings")["rows"]
    alike = [row for row in others if (row["longest_side"], row["scale_factor"]) == (480, 1.1)]
    found = {f"tilted.{name}": f"{tilted[name]}" for name in ("faces", "with_turns", "upright")}
    for count, words in ((1, "one"), (3, "three")):
        row = next(row for row in alike if row["min_neighbors"] == count)
        found |= {f"{words}.{name}": f"{row[f'{name}/scenes']['found_percent']}" for name in ("val", "test")}
    more = profiles["val/scenes"]["found_percent"] - default["val/scenes"]["found_percent"]
    return found | {"profiles_add": f"{more:.1f}"}


def crossing() -> dict[str, str]:
    rows = results("crossing")["rows"]
    return {key: f"{sum(row[key] for row in rows)}" for key in ("pairs", "renamed")}


def smoothing() -> dict[str, str]:
    found, default = results("smoothing"), SmoothingSettings()
    (ours,) = (s for s in found["settings"] if (s["min_cutoff_hz"], s["beta"]) == (default.min_cutoff_hz, default.beta))
    names = {"chosen": found["chosen"], "default": ours}
    rows = {
        f"{name}.{key}": f"{row[key]:{form}}"
        for name, row in names.items()
        for key, form in (("min_cutoff_hz", "g"), ("beta", "g"), ("jitter_px", ".2f"), ("lag_ms", ".0f"))
    }
    return rows | {"raw.jitter_px": f"{found['unsmoothed']['jitter_px']:.2f}"}


def soak() -> dict[str, str]:
    memory, searching = results("soak")["memory"], results("soak")["searching"]
    return {
        "frames": f"{memory['frames']:,}",
        "grown_mb": f"{memory['grown_mb']}",
        "end_mb": f"{memory['end_mb']:.0f}",
        "search_share": f"{searching['cpu_share']:.2f}",
        "search_allowed": f"{searching['allowed']:.2f}",
    }


def faults() -> dict[str, str]:
    """Twenty minutes of random faults."""
    soak = results("soak_faults")
    clients, witness = soak["client_faults"]["made"], soak["witness"]
    memory, threads = soak["memory"], soak["threads"]
    return {
        "minutes": f"{soak['minutes']:g}",
        "load_start": f"{soak['machine']['load_at_start'][0]:.1f}",
        "load_end": f"{soak['machine']['load_at_end'][0]:.1f}",
        "frames_per_s": f"{soak['frames_per_s']:.0f}",
        "times": f"{sum(row['count'] for row in soak['faults'].values())}",
        "ways": f"{len(soak['faults'])}",
        "client_times": f"{sum(clients.values()):,}",
        "client_ways": f"{len(clients)}",
        "messages": f"{witness['messages']:,}",
        "frames": f"{witness['frames']:,}",
        "memory_mb": f"{memory['median_mb']:.0f}",
        "grown_mb": f"{memory['grown_mb']:+.2f}",
        "warm_minutes": f"{soak['minutes'] - soak['warm_minutes']:g}",
        "range_mb": f"{memory['range_mb']:.1f}",
        "threads": f"{threads['lasting']}",
        "threads_lost": f"{threads['lost']}",
        "descriptors": f"{soak['descriptors']['end']}",
        "keep_alive_s": f"{soak['keep_alives']['longest_wait_s']:g}",
        "sigterm_s": f"{soak['sigterm']['seconds']:g}",
    }


def live() -> dict[str, str]:
    found = results("live")
    ratios = [row["searching"]["p99_over_p50"] for row in found["frame_times"]]
    back = found["recovery"]
    return {
        "p99_over_p50": f"{min(ratios)} to {max(ratios)}",
        "back_median_s": f"{back['median_s']}",
        "back_longest_s": f"{back['most_s']}",
        "returns": f"{back['returns']}",
    }


def conversion() -> dict[str, str]:
    rows, scan = {row["name"]: row for row in results("convert")["rows"]}, results("scan")
    int8, small, sparse = rows["int8"], rows["small"], rows["sparse"]
    found = {"knee": f"{100 * scan['knee']:.0f}", "scan_epochs": f"{scan['epochs']}"}
    for board, count in int8["instructions"].items():
        found[f"small_fewer.{board}"] = f"{100 * (1 - small['instructions'][board] / count):.1f}"
    for precision, size in int8["sizes"].items():
        smaller = 1 - sparse["sizes"][precision]["gzip_bytes"] / size["gzip_bytes"]
        found[f"sparse_smaller.{precision}"] = f"{100 * smaller:.1f}"
    return found


def published() -> dict[str, str]:
    row = next(row for row in results("published")["rows"] if row["recipe"] == "keypointnet")
    return {
        "epochs": f"{row['epochs']}",
        "minutes": f"{row['minutes']:.0f}",
        "rmse_px": f"{row['int8']['rmse_px']:.2f}",
    }


def measures() -> dict[str, str]:
    found, blinks = results("measures"), results("blinks")
    tracked = found["afw"]["tracked"]
    return {
        "cost": f"{100 * found['cost']['keypoints-int8']:.1f}",
        "cost68": f"{100 * found['cost']['keypoints68-int8']:.1f}",
        "eyes": f"{tracked['eye_open']['correlation']:.2f}",
        "mouth": f"{tracked['mouth_open']['correlation']:.2f}",
        "blink_faces": f"{blinks['faces']}",
        "blinks_found": f"{100 * blinks['found']:.0f}",
        "blinks_low": f"{100 * blinks['found_interval'][0]:.0f}",
        "blinks_high": f"{100 * blinks['found_interval'][1]:.0f}",
        "blinks_false": f"{blinks['false_per_minute']:.2f}",
        "blinks_false_high": f"{blinks['false_interval'][1]:.2f}",
    }


def install() -> dict[str, str]:
    return {"environment_mb": f"{results('install')['environment_mb']}"}


def peers() -> dict[str, str]:
    record = results("peers")
    afw, whole = (record["accuracy"]["own_detector"][f"test/{name}"]["peers"] for name in ("afw", "scenes"))
    pair = afw["mediapipe_settled"]["beside_base"]["theirs_without_habit"]
    times = record["speed"]["groups"]["demo"]["peers"]
    found = {f"{name}.times": f"{row['cpu_ratio']['median']:.1f}" for name, row in times.items()}
    found |= {f"{name}.cpu_ms": f"{row['cpu_ms']:.2f}" for name, row in times.items()}
    return found | {
        "mediapipe.nme": f"{pair['theirs_percent']:.2f}",
        "ours.nme": f"{pair['ours_percent']:.2f}",
        "mediapipe.found": f"{whole['mediapipe_settled']['found']}",
        "ours.found": f"{whole['int8']['found']}",
        "load": f"{record['speed']['machine']['load_average'][0]:.1f}",
        "int8.sha": record["speed"]["versions"]["int8"]["model_sha256"][:8],
    }


def box() -> dict[str, str]:
    """The service on a Debian that boots: in a virtual machine, and in a container."""
    systems = results("device_in_a_box")["systems"]
    machine, container = systems["trixie"]["figures"], systems["trixie in a container"]["figures"]
    cuts = container["cuts"]
    return {
        "flowing_s": f"{machine['flowing_after_s']:.0f}",
        "replugged_s": f"{machine['replugged_tracked_after_s']}",
        "sigstop_s": f"{container['sigstop_flowing_after_s']}",
        "cuts": f"{cuts['count']}",
        "changes": f"{cuts['changes_reported']:,}",
        "half": f"{cuts['half']}",
        "boots": f"{container['boots_after_cuts']}",
    }


TOPICS: tuple[Callable[[], dict[str, str]], ...] = (
    accuracy, adapt, groups, scenes, file, instructions, emulated, engine, stream, hostile, pose, search, crossing,
    smoothing, soak, faults, live, conversion, published, install, measures, peers,
    box,
)  # fmt: skip


def figures() -> dict[str, str]:
    """Every figure by its name, `TOPIC.NAME`."""
    return {f"{topic.__name__}.{name}": text for topic in TOPICS for name, text in topic().items()}
