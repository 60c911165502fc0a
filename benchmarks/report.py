"""Results as JSON, as the tables of docs/performance.md, and as pictures of growth."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.goals import Results, judge
from benchmarks.measuring import Cost, Failed
from benchmarks.programs import PROGRAMS, Program

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["load", "merge", "save", "write_page", "write_pictures"]

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_MARKS = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- end of results -->)", re.DOTALL)
_COLOURS = {"mreg": "#1b6ac9", "gto": "#c2571a", "dvc": "#7a3fb0", "mlflow": "#2a8a4a", "floor": "#888888"}


def load(path: Path) -> tuple[dict[str, str], Results]:
    """Returns the machine and the results of earlier runs; both empty where there was none."""
    if not path.exists():
        return {}, {}
    document = json.loads(path.read_text())
    results = {
        suite: {group: {name: _cost(each) for name, each in costs.items()} for group, costs in groups.items()}
        for suite, groups in document["results"].items()
    }
    return document["machine"], results


def save(path: Path, machine: Mapping[str, str], results: Results) -> None:
    """Writes both, for the next run to add to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {
        suite: {group: {name: _plain(each) for name, each in costs.items()} for group, costs in groups.items()}
        for suite, groups in results.items()
    }
    path.write_text(json.dumps({"schema": 1, "machine": machine, "results": found}, indent=1) + "\n")


def merge(old: Results, new: Results) -> Results:
    """Returns both; where both have a program in the same group, the new one's."""
    found = {suite: dict(groups) for suite, groups in old.items()}
    for suite, groups in new.items():
        kept = found.setdefault(suite, {})
        kept.update({group: {**kept.get(group, {}), **costs} for group, costs in groups.items()})
    return found


def write_page(results: Results, page: Path = PAGE) -> None:
    """Puts the tables where the page has their marks."""
    tables = {
        "goals": _goals(results),
        "scale": _scale(results, "cpu_s", "{:.2f}"),
        "memory": _scale(results, "peak_mib", "{:.0f}"),
        "artifact": _groups(results.get("artifact", {})),
        "push": _groups(results.get("push", {})),
        "transfer": _groups(results.get("transfer", {})),
        "verify": _groups(
            {f"{int(size):,} transitions".replace(",", " "): costs for size, costs in results.get("verify", {}).items()}
        ),
    }
    text = page.read_text()
    page.write_text(_MARKS.sub(lambda found: found[1] + tables[found[2]] + found[3], text))


def write_pictures(results: Results, folder: Path = PAGE.parent) -> list[Path]:
    """Draws time and memory against size: one picture each, a panel a verb."""
    import matplotlib as mpl  # noqa: PLC0415 - an extra

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "mreg"  # the same figures give the same file
    from matplotlib import pyplot  # noqa: PLC0415
    from matplotlib.lines import Line2D  # noqa: PLC0415

    made = []
    scale = results.get("scale", {})
    for kind, label in (("cpu_s", "CPU, s"), ("peak_mib", "peak memory, MiB")):
        verbs = [verb for verb in dict.fromkeys(program.verb for program in PROGRAMS) if verb]
        figure, panels = pyplot.subplots(
            2, -(-len(verbs) // 2), figsize=(16, 7), layout="constrained", sharex=True, sharey=True
        )
        for verb, panel in zip(verbs, panels.flat, strict=False):
            _draw(panel, verb, [each for each in PROGRAMS if each.verb == verb], scale, kind)
        for panel in panels.flat[len(verbs) :]:
            panel.axis("off")
        figure.supxlabel("versions")
        figure.supylabel(label)
        lines = [Line2D([], [], color=colour, marker="o", ms=3, label=owner) for owner, colour in _COLOURS.items()]
        lines.append(Line2D([], [], color="black", marker="^", linestyle="", label="at least: ended by the limit"))
        figure.legend(handles=lines, loc="outside upper right", ncols=len(lines))
        path = folder / f"growth-{'time' if kind == 'cpu_s' else 'memory'}.svg"
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
        made.append(path)
    return made


def _draw(
    panel: Axes, verb: str, programs: Iterable[Program], scale: Mapping[str, Mapping[str, Cost | Failed]], kind: str
) -> None:
    dashes = iter(("--", ":", "-."))
    for program in programs:
        found = [(int(size), costs.get(program.name)) for size, costs in scale.items()]
        ended = [(size, getattr(cost.used, kind)) for size, cost in found if isinstance(cost, Failed) and cost.used]
        points = [(size, getattr(cost, kind)) for size, cost in found if isinstance(cost, Cost)]
        style: dict[str, Any] = {"color": _COLOURS[program.owner], "marker": "o", "ms": 3}
        if program.owner == "floor":  # what it is; all else is said by the colour
            style |= {"linestyle": next(dashes), "label": program.name}
        elif program.is_cold:
            style |= {"linestyle": "--", "alpha": 0.5, "label": "mreg, without a cache"}
        if points:
            panel.plot(*zip(*sorted(points + ended), strict=True), **style)
        if ended:
            panel.plot(*zip(*ended, strict=True), "^", color=style["color"], ms=8)
    panel.set(xscale="log", yscale="log", title=verb)
    if panel.get_legend_handles_labels()[0]:
        panel.legend(fontsize=7)
    panel.grid(alpha=0.3)


def _goals(results: Results) -> str:
    words = {True: "met", False: "**not met**", None: "–"}
    rows = [[each.what, each.goal or "–", each.measured, words[each.met]] for each in judge(results)]
    return _table(["what", "goal", "measured", ""], rows)


def _scale(results: Results, kind: str, form: str) -> str:
    scale = results.get("scale", {})
    sizes = sorted(scale, key=int)
    rows = []
    for program in PROGRAMS:
        cells = [scale[size].get(program.name) for size in sizes]
        if any(cells):
            name = f"*{program.name}*" if program.owner == "floor" else f"`{program.name}`"
            rows.append([name, *(_cell(cell, kind, form) for cell in cells)])
    return _table(["", *(f"{int(size):,}".replace(",", " ") for size in sizes)], rows)


def _cell(cost: Cost | Failed | None, kind: str, form: str) -> str:
    if isinstance(cost, Failed):
        if cost.used:
            return f"> {getattr(cost.used, kind):.0f}"
        return "–" if str(cost).startswith("not run") else "failed"
    return form.format(getattr(cost, kind)) if cost else "–"


def _groups(groups: Mapping[str, Mapping[str, Cost | Failed]]) -> str:
    rows = []
    for group, costs in groups.items():
        first = next((each for each in costs.values() if isinstance(each, Cost)), None)
        rows.append([f"**{group}**", "", "", "", ""])
        for name, cost in costs.items():
            if isinstance(cost, Failed) or first is None:
                rows.append([name, str(cost), "", "", ""])
                continue
            ratio = f"{cost.wall_s / first.wall_s:.2f}"
            rows.append(
                [
                    name,
                    f"{cost.wall_s:.2f}",
                    f"{cost.cpu_s:.2f}",
                    f"{cost.peak_mib:.0f}" if cost.peak_mib else "–",
                    ratio,
                ]
            )
    return _table(["", "wall s", "CPU s", "peak MiB", "× wall of the first"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _plain(cost: Cost | Failed) -> dict[str, object]:
    if isinstance(cost, Failed):
        return {"failed": str(cost), **({"used": _plain(cost.used)} if cost.used else {})}
    return {name: round(value, 4) for name, value in vars(cost).items()}


def _cost(found: Mapping[str, Any]) -> Cost | Failed:
    if "failed" in found:
        return Failed(found["failed"], Cost(**found["used"]) if "used" in found else None)
    return Cost(**found)
