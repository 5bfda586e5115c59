"""Picture of the sweep: concealed audio above, cost below, a column for each path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.loss import sweep
from bench.loss.case import VIRTUAL, Outcome
from bench.loss.virtual import programme

COLOURS = ("#555555", "#0072b2", "#e69f00", "#009e73")
"""Colours of the methods, in order, for colour-blind eyes as well (Okabe and Ito)."""
MARKERS = "osD^"

SMALLEST_PERCENT = 0.01
"""Loss below which the scale is linear, so that it reaches 0."""
TICKS_PERCENT = (0, 0.01, 0.1, 1, 10, 100)

GAP = 0.8
"""Distance between single losses and bursts on the axis."""

DODGE = 0.16
"""Horizontal distance between methods, so that equal values can be seen."""

INCHES = (14.0, 7.2)
DPI = 130


def draw(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write the picture of the outcomes in virtual time to `path`, as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    swept = [
        one for one in outcomes if one.case.network == VIRTUAL and not one.case.conditions.jitter_s
    ]
    paths = [path for path in sweep.PATHS if any(_path(one) == path for one in swept)]
    with pyplot.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = pyplot.subplots(
            2, len(paths), sharex=True, sharey="row", squeeze=False, figsize=INCHES
        )
        for (above, below), one_path in zip(axes.T, paths, strict=True):
            _draw_path(above, below, [one for one in swept if _path(one) == one_path])
            buffer_s, rtt_s = one_path
            above.set_title(f"round trip {1e3 * rtt_s:g} ms\nbuffer {buffer_s:g} s", fontsize=11)
        _label(figure, axes)
        figure.savefig(path, dpi=DPI, metadata={"Software": None})
        pyplot.close(figure)


def _draw_path(above: Any, below: Any, outcomes: Sequence[Outcome]) -> None:
    """Draw one column: a line for each method, broken between single losses and bursts."""
    for style, method in enumerate(sweep.METHODS):
        of_method = [one for one in outcomes if one.case.method.name == method]
        for bursts in (False, True):
            line = [one for one in of_method if (one.case.conditions.burst is not None) == bursts]
            aside = DODGE * (style - (len(sweep.METHODS) - 1) / 2)
            at = [_position(one) + aside for one in line]
            how = {"color": COLOURS[style], "linewidth": 1.4, "zorder": 3 + style}
            concealed = [100 * one.mean("concealed_s") / programme().seconds for one in line]
            above.plot(at, concealed, **how)
            label = None if bursts else method
            sent = [one.sent_ratio for one in line]
            below.plot(at, sent, marker=MARKERS[style], ms=4, label=label, **how)
            for x, y, one in zip(at, concealed, line, strict=True):
                exact = one.exact == len(one.runs)
                fill = COLOURS[style] if exact else "white"
                above.plot(x, y, MARKERS[style], ms=7, mfc=fill, clip_on=False, **how)
    _scales(above, below)


def _scales(above: Any, below: Any) -> None:
    columns = list(sweep.losses())
    first_burst = len(sweep.RANDOM_LOSSES)
    at = [index + GAP * (index >= first_burst) for index in range(len(columns))]
    above.set_yscale("symlog", linthresh=SMALLEST_PERCENT, linscale=0.5)
    above.set_ylim(0, 100)
    above.set_yticks(TICKS_PERCENT, [f"{tick:g} %" for tick in TICKS_PERCENT])
    above.minorticks_off()
    allowed = [1.1 / (1 - loss) for loss, _ in columns]
    for part in (slice(None, first_burst), slice(first_burst, None)):
        below.plot(at[part], allowed[part], ":", color="#999999", linewidth=1.2)
    for axis in (above, below):
        axis.grid(axis="y", color="#dddddd", linewidth=0.6)
        axis.axvspan(first_burst - 0.5 + GAP / 2, at[-1] + 0.5, color="#f3f3f3", zorder=0)
        axis.set_xlim(-0.5, at[-1] + 0.5)
    below.set_xticks(
        at, [f"{100 * loss:g}" if not burst else f"{burst:g}" for loss, burst in columns]
    )
    under_axis = below.get_xaxis_transform()
    for x, text in (
        (at[first_burst // 2], "loss each way, %"),
        (at[first_burst + 1], "10 % in\nbursts of"),
    ):
        below.text(x, -0.13, text, transform=under_axis, ha="center", va="top")


def _label(figure: Any, axes: Any) -> None:
    seconds = programme().seconds
    axes[0][0].set_ylabel("not heard as it was sent,\nshare of the time")
    axes[1][0].set_ylabel("bytes sent to the listener,\nover bytes of audio")
    handles, labels = axes[1][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper right", ncols=len(labels), frameon=False)
    figure.suptitle(
        f"{seconds:g} s of music over a network that loses, mean of {len(sweep.SEEDS)} runs",
        x=0.01,
        ha="left",
        fontsize=13,
    )
    figure.text(
        0.01,
        0.01,
        "Filled marks: every run is bit for bit what the file decodes to."
        "  Dotted: 1.1 / (1 - loss), what repair by request may cost.",
        color="#444444",
    )
    figure.tight_layout(rect=(0, 0.04, 1, 1))


def _path(one: Outcome) -> tuple[float, float]:
    """Buffer and round trip, in seconds."""
    return one.case.buffer_s, round(2 * one.case.conditions.delay_s, 6)


def _position(one: Outcome) -> float:
    """Place on the axis of losses."""
    conditions = one.case.conditions
    index = list(sweep.losses()).index((conditions.loss, conditions.burst))
    return index + GAP * (conditions.burst is not None)
