"""What growth.py found, as docs/performance.md and docs/growth.svg show it."""

from __future__ import annotations

from typing import Any

from performance_page import PAGE, table

from fkp_edge.report import lines

SVG = PAGE.parent / "growth.svg"


def plot(result: dict[str, Any]) -> str:
    """Plots, one below the other."""
    sizes, faces, clients, threads = (result[key]["rows"] for key in ("sizes", "faces", "clients", "threads"))
    search = result["sizes"]["unreduced_search_law_per_megapixel"]
    face, cpu = result["faces"]["law"], result["clients"]["cpu_law"]
    pixels = [row["pixels"] / 1e6 for row in sizes]
    one = threads[0]["network_ms"]
    panels = [
        lines(
            {
                "tracked frame": [(x, row["tracked_ms"]) for x, row in zip(pixels, sizes, strict=True)],
                "law: constant": [(x, sizes[0]["tracked_ms"]) for x in pixels],
            },
            labels=("megapixels of the frame", "ms"),
            dashed=["law: constant"],
        ),
        lines(
            {
                "search of the whole frame": [
                    (x, row["unreduced_search_ms"]) for x, row in zip(pixels, sizes, strict=True)
                ],
                "law: linear in pixels": [(x, search["start"] + search["slope"] * x) for x in pixels],
                "search as shipped (480 pixels)": [(x, row["search_ms"]) for x, row in zip(pixels, sizes, strict=True)],
            },
            labels=("megapixels of the frame", "ms"),
            dashed=["law: linear in pixels"],
        ),
        lines(
            {
                "tracked frame": [(row["faces"], row["frame_ms"]) for row in faces],
                "law: linear in faces": [
                    (n, face["start"] + face["slope"] * n) for n in (row["faces"] for row in faces) if n
                ],
            },
            labels=("faces", "ms"),
            dashed=["law: linear in faces"],
        ),
        lines(
            {
                "CPU of the process": [(row["clients"], row["cpu_ms"]) for row in clients],
                "law: linear in clients": [
                    (n, cpu["start"] + cpu["slope"] * n) for n in (row["clients"] for row in clients)
                ],
                "engine's thread": [(row["clients"], row["publish_ms"]) for row in clients],
            },
            labels=("clients", "ms an observation"),
            dashed=["law: linear in clients"],
        ),
        lines(
            {
                "network alone": [(row["threads"], row["network_ms"]) for row in threads],
                "law: one thread's time shared": [(row["threads"], one / row["threads"]) for row in threads],
            },
            labels=("threads", "ms an inference"),
            dashed=["law: one thread's time shared"],
        ),
    ]
    placed = [panel.replace("<svg ", f"<svg y='{i * 380}' ", 1) for i, panel in enumerate(panels)]
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 760 {380 * len(panels)}' style='background:#fff'>"
    return head + "\n".join(placed) + "</svg>\n"


def page(result: dict[str, Any]) -> str:
    """What stands in docs/performance.md."""
    sizes, faces, clients, threads = (result[key] for key in ("sizes", "faces", "clients", "threads"))
    search = sizes["unreduced_search_law_per_megapixel"]
    one, last = threads["rows"][0], threads["rows"][-1]
    by = table(
        ("frame", "tracked frame, ms", "search as shipped, ms", "search of the whole frame, ms"),
        [
            (r["size"], f"{r['tracked_ms']:.3f}", f"{r['search_ms']:.1f}", f"{r['unreduced_search_ms']:.1f}")
            for r in sizes["rows"]
        ],
    )
    parts = [
        f"{result['machine']['processor']}, {result['machine']['cores']} cores. Tracked frames are the least of "
        f"{result['rounds']} rounds' medians and searches the least of as many, in CPU time of the thread; threads are "
        "in time on the wall; clients are one run: the median of publishing, the mean of the process's CPU.",
        by,
        "A tracked frame should cost the same whatever its size: the dearest takes "
        f"{sizes['tracked_most_over_least']:.2f} times the cheapest. A search should be linear in pixels: "
        f"{search['slope']:.0f} ms a megapixel, at most {search['off_at_most']:.1f} ms off the line. As shipped the "
        "picture is first reduced to 480 pixels, which bounds it.",
        table(("faces", "tracked frame, ms"), [(str(r["faces"]), f"{r['frame_ms']:.3f}") for r in faces["rows"]]),
        f"A face should cost one look more: {faces['law']['slope']:.3f} ms each, at most "
        f"{faces['law']['off_at_most']:.3f} ms off the line.",
        table(
            ("clients", "engine's thread, ms", "CPU of the process, ms"),
            [(str(r["clients"]), f"{r['publish_ms']:.3f}", f"{r['cpu_ms']:.2f}") for r in clients["rows"]],
        ),
        f"An observation should cost the engine's thread the same however many read it, and the process "
        f"{1000 * clients['cpu_law']['slope']:.0f} us of CPU a client (at most "
        f"{clients['cpu_law']['off_at_most']:.2f} ms off the line).",
        table(("threads", "network, ms"), [(str(r["threads"]), f"{r['network_ms']:.3f}") for r in threads["rows"]]),
        f"Threads should share the work: {last['threads']} should be {last['threads']} times as fast as one, and are "
        f"{one['network_ms'] / last['network_ms']:.2f} times.",
    ]
    return "\n\n".join(parts)
