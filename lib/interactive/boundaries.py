"""Decision boundaries of all losses side by side: in the plane of two angles, and on the circle."""

import numpy as np

from ..plots import COLORS, EDGES, INK
from .curves import border, content_on_circle
from .panel import Panel, slider

AROUND = np.linspace(-np.pi, np.pi, 1441)
DEGREES = np.linspace(0, 90, 181)


class DecisionBoundaries(Panel):
    """Which class each loss is content with, where its margin goes, and how wide the gap becomes.

    Args:
        m1, m2, m3: the margins to begin with: a factor, radians, and a difference of cosines.
        apart: the angle between the two class weights on the circle, in degrees.
        name: of the figure, unique in the notebook.
    """

    def __init__(self, m1=2.0, m2=0.3, m3=0.2, apart=60, name="decision boundaries"):
        controls = {
            "m1": slider("m1, SphereFace", "factor", 1.0, 4.0, m1, 0.05),
            "m2": slider("m2, ArcFace", "radians", 0.0, 1.57, m2, 0.01),
            "m3": slider("m3, CosFace", "cosine", 0.0, 1.0, m3, 0.01),
            "apart": slider("classes apart", "degrees", 10, 180, apart),
        }
        alt = (
            "For no margin, SphereFace, CosFace, ArcFace and all three margins together: above, "
            "the plane of the angles to two classes, coloured where the loss is content with class "
            "1 or class 2 and white between; below, the same on the circle. SphereFace's gap is a "
            "wedge that begins with no width at angle zero, the other gaps are bands."
        )
        super().__init__(name, alt, controls, columns=5, rows=2, width=10.5, height=4.9)
        self._draw()
        self.ready()

    def _draw(self):
        self.planes, self.sectors, self.arrows = [], [], []
        for ax in self.axes[0]:
            ax.set(xlim=(0, 90), ylim=(0, 90), xticks=(0, 45, 90), yticks=(), aspect="equal")
            ax.plot((0, 90), (0, 90), color=INK, lw=1, ls="--")
            ax.text(5, 78, "class 1", fontsize=9)
            ax.text(85, 5, "class 2", fontsize=9, ha="right")
            ax.set_xlabel("θ₁ (degrees)", fontsize=9)
            ax.set_title("combined", fontsize=11)
            self.planes.append([_filled(ax, label) for label in (0, 1)])
        self.axes[0][0].set(yticks=(0, 45, 90))
        self.axes[0][0].set_ylabel("θ₂ (degrees)", fontsize=9)
        for ax in self.axes[1]:
            ax.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal")
            ax.set_axis_off()
            ax.plot(np.cos(AROUND), np.sin(AROUND), color=INK, lw=0.8)
            ax.set_title("gap 180°", fontsize=11)
            self.sectors.append([_filled(ax, label) for label in (0, 1)])
            self.arrows.append(
                [ax.plot((0, 1), (0, 0), "o-", color=EDGES[i], lw=2, ms=6)[0] for i in (0, 1)]
            )

    def losses(self):
        """(m1, m2, m3) of each column, by its title."""
        m1, m2, m3 = (self.value(name) for name in ("m1", "m2", "m3"))
        return {
            "no margin": (1.0, 0.0, 0.0),
            f"SphereFace, m {m1:.3g}": (m1, 0.0, 0.0),
            f"CosFace, m {m3:.2f}": (1.0, 0.0, m3),
            f"ArcFace, m {m2:.2f}": (1.0, m2, 0.0),
            "all three": (m1, m2, m3),
        }

    def update(self):
        half = np.radians(self.value("apart")) / 2
        weights = np.pi / 2 + np.array([half, -half])
        for column, (title, margins) in enumerate(self.losses().items()):
            self.axes[0][column].title.set_text(title)
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
