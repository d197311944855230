"""Decision boundaries of losses side by side: in the plane of two angles, and on the circle."""

import numpy as np

from .. import inputs
from ..plots import COLORS, EDGES, INK
from .curves import border, content_on_circle
from .panel import Panel, slider

AROUND = np.linspace(-np.pi, np.pi, 1441)
DEGREES = np.linspace(0, 90, 181)
# Each loss that can be shown, and the margins that it has.
MARGINS = {
    "no margin": (),
    "SphereFace": ("m1",),
    "CosFace": ("m3",),
    "ArcFace": ("m2",),
    "combined": ("m1", "m2", "m3"),
}
NEUTRAL = {"m1": 1.0, "m2": 0.0, "m3": 0.0}


class DecisionBoundaries(Panel):
    """Which class each loss is content with, where its margin goes, and how wide the gap becomes.

    Args:
        losses: two or three names in `MARGINS`, from left to right.
        m1, m2, m3: the margins to begin with: a factor, radians, and a difference of cosines.
        apart: the angle between the two class weights on the circle, in degrees.
        name: of the figure, unique in the notebook.
    """

    def __init__(
        self,
        losses=("no margin", "CosFace", "ArcFace"),
        m1=2.0,
        m2=0.3,
        m3=0.2,
        apart=60,
        name="decision boundaries",
    ):
        if isinstance(losses, str) or not 2 <= len(losses) <= 3:
            raise ValueError(
                f"losses: expected two or three of {', '.join(MARGINS)}; got {losses!r}."
            )
        self.losses = tuple(inputs.one_of(loss, "losses", MARGINS) for loss in losses)
        ranges = {
            "m1": ("m1, SphereFace", "factor", 1.0, 4.0, m1, 0.05),
            "m2": ("m2, ArcFace", "radians", 0.0, 1.57, m2, 0.01),
            "m3": ("m3, CosFace", "cosine", 0.0, 1.0, m3, 0.01),
        }
        used = {margin for loss in self.losses for margin in MARGINS[loss]}
        controls = {margin: slider(*ranges[margin]) for margin in NEUTRAL if margin in used}
        controls["apart"] = slider("classes apart", "degrees", 10, 180, apart)
        alt = (
            f"For {', '.join(self.losses)}: above, the plane of the angles to two classes, "
            "coloured where the loss is content with class 1 or class 2 and white between; below, "
            "the same on the circle, with the width of the gap between the two classes."
        )
        super().__init__(name, alt, controls, columns=len(losses), rows=2, width=9, height=6)
        self._draw()
        self.ready()

    def _draw(self):
        self.planes, self.sectors, self.arrows = [], [], []
        for ax in self.axes[0]:
            ax.set(xlim=(0, 90), ylim=(0, 90), xticks=(0, 45, 90), yticks=(), aspect="equal")
            ax.plot((0, 90), (0, 90), color=INK, lw=1, ls="--")
            ax.text(5, 78, "class 1", fontsize=10)
            ax.text(85, 5, "class 2", fontsize=10, ha="right")
            ax.set_xlabel("θ₁ (degrees)", fontsize=10)
            ax.set_title("SphereFace, m 0.00")
            self.planes.append([_filled(ax, label) for label in (0, 1)])
        self.axes[0][0].set(yticks=(0, 45, 90))
        self.axes[0][0].set_ylabel("θ₂ (degrees)", fontsize=10)
        for ax in self.axes[1]:
            ax.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal")
            ax.set_axis_off()
            ax.plot(np.cos(AROUND), np.sin(AROUND), color=INK, lw=0.8)
            ax.set_title("gap 180°")
            self.sectors.append([_filled(ax, label) for label in (0, 1)])
            self.arrows.append(
                [ax.plot((0, 1), (0, 0), "o-", color=EDGES[i], lw=2, ms=6)[0] for i in (0, 1)]
            )

    def margins(self, loss):
        """(m1, m2, m3) of a loss, as the sliders say."""
        return tuple(
            self.value(margin) if margin in MARGINS[loss] else neutral
            for margin, neutral in NEUTRAL.items()
        )

    def update(self):
        half = np.radians(self.value("apart")) / 2
        weights = np.pi / 2 + np.array([half, -half])
        for column, loss in enumerate(self.losses):
            margins = self.margins(loss)
            if len(MARGINS[loss]) == 1:
                loss = f"{loss}, m {self.value(MARGINS[loss][0]):.3g}"
            self.axes[0][column].title.set_text(loss)
            self._move_plane(column, margins)
            self._move_circle(column, margins, weights)

    def _move_plane(self, column, margins):
        edge = np.degrees(border(np.radians(DEGREES), *margins))
        edge = np.where(np.isnan(edge), 200, edge)  # content nowhere: beyond what is shown
        first = np.concatenate([[[0, 200]], np.stack([DEGREES, edge], 1), [[90, 200]]])
        for region, points in zip(self.planes[column], (first, first[:, ::-1]), strict=True):
            region.set_xy(points)

    def _move_circle(self, column, margins, weights):
        content = [
            content_on_circle(AROUND, weights[i], weights[1 - i : 2 - i], *margins) for i in (0, 1)
        ]
        for i in (0, 1):
            radius = np.where(content[i], 1.0, 0.0)
            self.sectors[column][i].set_xy(
                np.stack([radius * np.cos(AROUND), radius * np.sin(AROUND)], axis=1)
            )
            self.arrows[column][i].set_data((0, np.cos(weights[i])), (0, np.sin(weights[i])))
        between = np.abs(AROUND - np.pi / 2) <= weights[0] - np.pi / 2
        free = between & ~content[0] & ~content[1]
        gap = np.degrees(free.sum() * (AROUND[1] - AROUND[0]))
        self.axes[1][column].title.set_text(f"gap {gap:.0f}°")


def _filled(ax, label):
    """An area still to be shaped; the second class is hatched, as a second cue."""
    hatch = "///" if label else None
    look = {"facecolor": COLORS[label], "edgecolor": EDGES[label], "alpha": 0.45, "lw": 0}
    return ax.fill((0, 0, 0), (0, 0, 0), hatch=hatch, **look)[0]
