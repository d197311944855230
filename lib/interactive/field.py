"""The field of a loss to touch: move its margin and scale, drag a sample, and see the push."""

import math

import numpy as np

from .. import inputs
from ..diagrams import (
    FIELDS,
    CenterPull,
    draw_arrows,
    draw_borders,
    draw_frame,
    loss_and_push,
    push,
)
from ..losses import MarginLoss
from ..palette import INK, LOSS_COLORS
from ..scene import DIRECTIONS, FIELD_MARGINS, FIELD_POINTS, REACH, SCALE
from .panel import Panel, margin_slider, slider

AROUND = np.linspace(-178.5, 178.5, 120)  # degrees from the own class weight, never on it
NEXT_TO_IT = 0.5  # where a sample on its class weight is looked at: there is no side to push to
TURNS = np.sort((np.degrees(DIRECTIONS) + 90) % 360 - 180).round()  # where the class weights are
DOT = {"marker": "o", "ls": "", "ms": 11, "mfc": "white", "mec": INK, "mew": 2, "zorder": 7}


class FieldExplorer(Panel):
    """Where a loss pushes embeddings of one class, with its margin, scale or λ on sliders.

    Left the field of `plots.plot_field` with a sample to drag; right the push on embeddings of the
    sample's length in all directions, along the circle and outward.

    Args:
        loss: a name in `lib.diagrams.FIELDS`.
        angle: of the sample at first, in degrees from its class weight, counter-clockwise.
        length: of the sample at first.
        name: of the figure, unique in the notebook.
    """

    def __init__(self, loss="ArcFace", angle=40, length=6.5, name="field"):
        self.loss = inputs.one_of(loss, "loss", FIELDS)
        controls = {
            margin: margin_slider(margin, value, text)
            for margin, (text, value) in FIELD_MARGINS.get(loss, {}).items()
        }
        if loss in FIELD_MARGINS:
            controls["s"] = slider("scale s", "no unit", 1, 32, int(SCALE))
        if loss == "center loss":
            controls["weight"] = slider("λ", "weight, no unit", 0.0, 0.5, 0.1, 0.01)
        controls["angle"] = slider("sample's angle", "degrees", -180, 180, angle)
        controls["length"] = slider("sample's length", "no unit", 0.5, 9.5, length, 0.1)
        alt = (
            f"Left: the push of {loss} on embeddings of one class as arrows over the plane, with "
            f"the region of that class filled, and a sample {angle} degrees from its class weight. "
            "Right: how strongly embeddings of the sample's length are pushed towards their class "
            "weight and outward, in all directions."
        )
        super().__init__(name, alt, controls, columns=2, width=10, height=4.9,
                         width_ratios=(1, 1.05))  # fmt: skip
        self.color, self.held = LOSS_COLORS[loss], False
        self._draw()
        self.ready()
        self.on_event("button_press_event", self._grab)
        self.on_event("motion_notify_event", self._drag)
        self.on_event("button_release_event", self._let_go)

    def _draw(self):
        ax, strength = self.axes
        draw_frame(ax, self.loss)
        self.borders = draw_borders(ax, self.loss, self.color)
        self.arrows = draw_arrows(ax, FIELD_POINTS, FIELD_POINTS, self.color)
        self.key = ax.quiverkey(self.arrows, -0.9 * REACH, -0.93 * REACH, 2, "2", labelpos="N",
                                coordinates="data", color=INK, labelsep=0.04)  # fmt: skip
        self.push = draw_arrows(ax, FIELD_POINTS[:1], FIELD_POINTS[:1], INK)
        self.push.set(zorder=6, linewidth=1.5, edgecolor=INK)
        (self.dot,) = ax.plot([0], [0], **DOT)
        ax.set(xlabel="drag the white dot", title="loss 10.00")
        ax.spines[:].set_visible(False)

        for turn in TURNS:
            strength.axvline(turn, color="0.8", lw=1)
        strength.axhline(0, color="0.6", lw=0.8)
        empty = AROUND, np.zeros(len(AROUND))
        self.lines = {
            "towards": strength.plot(*empty, color=self.color, lw=2.5, label="towards its class"),
            "outward": strength.plot(*empty, "--", color=self.color, lw=2, label="outward"),
        }
        if self.plain is not None:
            name, look = self.plain, {"color": "0.5", "lw": 1.2}
            self.lines["plain"] = strength.plot(*empty, label=f"towards, {name}", **look)
        (self.place,) = strength.plot([0], [0], **DOT)
        strength.set(xlim=(-180, 180), xticks=TURNS, xticklabels=[f"{turn:.0f}°" for turn in TURNS])
        strength.set(ylim=(-1, 2), xlabel="angle from the own class weight (0°) to the others")
        strength.set(ylabel="push on the embedding")
        strength.set_title("pushed 10.00 towards its class, −10.00 outward")
        self.fig.legend(loc="outside lower center", ncols=3, fontsize=10)

    @property
    def plain(self):
        """How the legend calls the loss without what its sliders add; None if they add nothing."""
        without = {"center loss": "λ = 0"} | dict.fromkeys(FIELD_MARGINS, "no margin")
        return None if self.loss == "NormFace" else without.get(self.loss)

    def setting(self, plain=False):
        """The loss as the sliders say; `plain`: without the margin or the λ."""
        if self.loss == "center loss":
            return CenterPull(0.0 if plain else self.value("weight"))
        if self.loss not in FIELD_MARGINS:
            return self.loss
        margins = (
            {} if plain else {margin: self.value(margin) for margin in FIELD_MARGINS[self.loss]}
        )
        return MarginLoss(**margins, scale=self.value("s"))

    def update(self):
        angle, length = self.value("angle"), self.value("length")
        turns = np.radians([*AROUND, angle or NEXT_TO_IT])
        ways = np.stack([-np.sin(turns), np.cos(turns)], axis=1)  # the own weight points up
        losses, pushes = loss_and_push(
            self.setting(), np.concatenate([length * ways, FIELD_POINTS])
        )
        around, sample, field = np.split(pushes, (len(AROUND), len(turns)))
        self._move_plane(length * ways[-1], sample, field)
        self.axes[0].title.set_text(f"loss {losses[len(AROUND)]:.2f}")
        parts = dict(zip(("towards", "outward"), _parts(around, turns[:-1]), strict=True))
        if self.plain is not None:
            without = push(self.setting(plain=True), length * ways[:-1])
            parts["plain"] = _parts(without, turns[:-1])[0]
        for name, values in parts.items():
            self.lines[name][0].set_ydata(values)
        (towards,), (outward,) = _parts(sample, turns[-1:])
        self.place.set_data([angle], [towards])
        everything = np.concatenate(list(parts.values()))
        self.axes[1].set_ylim(min(-0.3, 1.1 * everything.min()), max(1.5, 1.1 * everything.max()))
        towards, outward = (f"{part:z.2f}".replace("-", "−") for part in (towards, outward))
        self.axes[1].title.set_text(f"pushed {towards} towards its class, {outward} outward")

    def _move_plane(self, sample, push_on_it, field):
        """Draw the region anew, and move the arrows; an arrow of one length means a share of s."""
        for artist in self.borders:
            artist.remove()
        self.borders = draw_borders(self.axes[0], self.setting(), self.color)
        unit = self.value("s") / SCALE if self.loss in FIELD_MARGINS else 1.0
        self.arrows.set_UVC(*field.T / unit)
        self.push.set_offsets(sample[None])
        self.push.set_UVC(*push_on_it.T / unit)
        self.key.text.set_text(f"{2 * unit:.3g}")
        self.dot.set_data(*sample[:, None])

    def _grab(self, event):
        zooming = getattr(self.fig.canvas.toolbar, "mode", "")
        if event.inaxes is self.axes[0] and not zooming:
            (x,), (y,) = self.dot.get_data()
            self.held = math.hypot(event.xdata - x, event.ydata - y) < 0.15 * REACH

    def _drag(self, event):
        if self.held and event.inaxes is self.axes[0]:
            with self.silently():
                degrees = math.degrees(math.atan2(-event.xdata, event.ydata))
                self.controls["angle"].value = round(degrees)
                self.controls["length"].value = math.hypot(event.xdata, event.ydata)

    def _let_go(self, event):
        self.held = False


def _parts(pushes, turns):
    """The part of each push (N, 2) along the circle, towards the own class weight, and outward."""
    outward = np.stack([-np.sin(turns), np.cos(turns)], axis=1)
    along = np.stack([-np.cos(turns), -np.sin(turns)], axis=1)  # counter-clockwise
    return -np.sign(turns) * (pushes * along).sum(axis=1), (pushes * outward).sum(axis=1)
