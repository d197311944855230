"""Room for classes: how many fit a circle or a sphere at a margin, and how low the loss can get."""

import functools
import math

import numpy as np

from ..feasibility import arrangement, feasibility, largest_angle
from ..plots import COLORS, EDGES, INK, OTHER, OWN
from .curves import content_on_circle, target_cosine
from .panel import Panel, choice, slider

MOST = 40  # classes
COUNTS = range(2, MOST + 1)
AROUND = np.linspace(-np.pi, np.pi, 1441)
VIEW = np.array([[0.8, 0.6, 0.0], [-0.24, 0.32, 0.917], [0.55, -0.73, 0.4]])  # from the side


@functools.cache
def spread_on_sphere(count):
    """`count` points on the sphere, far from each other: (count, 3), unit rows; the better of two.

    That comes within a few degrees of the best arrangement, which is not known for most numbers.
    """
    found = (arrangement(count, 3, seed, sharpest=400).astype(float) for seed in (2, 4))
    return max(found, key=smallest_angle)


def smallest_angle(points):
    """The smallest angle between two of the unit vectors (N, D), in radians."""
    cosines = points @ points.T - 2 * np.eye(len(points))
    return math.acos(min(1.0, cosines.max()))


@functools.cache
def room_on(dim):
    """The angle between neighbours for each of `COUNTS`: best on the circle, found on the sphere.

    In radians, a dictionary.
    """
    if dim == 2:
        return {count: largest_angle(count, 2)[0] for count in COUNTS}
    return {count: smallest_angle(spread_on_sphere(count)) for count in COUNTS}


def most_classes(dim, needed):
    """The largest number of classes, up to MOST, whose neighbours are `needed` radians apart."""
    return max((c for c, angle in room_on(dim).items() if angle >= needed - 1e-9), default=1)


@functools.lru_cache(maxsize=1)  # a move of the number of classes asks for the same again
def answers(dim, scale, m2, m3):
    """What `feasibility` says of each of `COUNTS`, a dictionary."""
    return {count: feasibility(count, dim, scale, m2=m2, m3=m3) for count in COUNTS}


def content_radius(apart, m2, m3):
    """Up to which angle from its weight a class is content, towards a neighbour `apart` away."""
    own = np.linspace(0, apart / 2, 1001)
    content = target_cosine(own, 1.0, m2, m3) >= np.cos(apart - own) - 1e-12
    return float(own[content].max()) if content[0] else None


class RoomForClasses(Panel):
    """How many classes fit a circle or a sphere at a margin, with the loss floor.

    Args:
        classes: C to begin with, 2 to 40.
        dim: 2, a circle, or 3, a sphere.
        scale: s.
        m2, m3: margins: radians (ArcFace) and a difference of cosines (CosFace).
        name: of the figure, unique in the notebook.
    """

    def __init__(self, classes=10, dim=2, scale=16, m2=0.0, m3=0.1, name="room for classes"):
        controls = {
            "dim": choice("where", [("circle, 2 dimensions", 2), ("sphere, 3 dimensions", 3)], dim),
            "classes": slider("classes C", "number", 2, MOST, classes),
            "m2": slider("m2, ArcFace", "radians", 0.0, 1.57, m2, 0.01),
            "m3": slider("m3, CosFace", "cosine", 0.0, 1.5, m3, 0.01),
            "s": slider("scale s", "no unit", 1, 64, scale),
        }
        place = "circle" if dim == 2 else "sphere"
        alt = (
            f"Left: a {place} with {classes} evenly spread classes, coloured where each is content "
            "with an image. Middle: the angle between neighbours falls with the number of classes; "
            "a line marks the angle that the margin needs. Right: the lowest loss that all classes "
            "can have at once, which rises with their number."
        )
        super().__init__(name, alt, controls, columns=3, width=10.5, height=3.8)
        self._draw()
        self.ready()

    def _draw(self):
        picture, angles, floors = self.axes
        picture.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal")
        picture.set_axis_off()
        picture.plot(np.cos(AROUND), np.sin(AROUND), color=INK, lw=0.8)
        self.areas, self.arrows = [], []
        for c in range(MOST):
            look = {"facecolor": COLORS[c % 10], "edgecolor": EDGES[c % 10]}
            look |= {"hatch": "///" if c % 2 else None}
            self.areas.append(picture.fill((0, 0, 0), (0, 0, 0), alpha=0.5, lw=0, **look)[0])
            self.arrows.append(picture.plot((0, 1), (0, 0), color=EDGES[c % 10], lw=1.5)[0])
        (self.dots,) = picture.plot([0], [0], "o", color=INK, ms=4)
        picture.set_title("40 classes do NOT fit")

        for dim, style, text in ((2, "-", "circle"), (3, "--", "sphere")):
            angles.plot(
                COUNTS, np.degrees(list(room_on(dim).values())), style, color=OWN, label=text
            )
        self.needed = angles.axhline(0, color=OTHER, lw=2, label="the margin needs")
        (self.angle_dot,) = angles.plot([2], [0], "o", color=INK, ms=8)
        angles.set(xlim=(2, MOST), ylim=(0, 185), yticks=(0, 45, 90, 135, 180))
        angles.set(xlabel="classes C (number)", ylabel="angle between neighbours (degrees)")
        angles.set_title("room for 40 or more classes")
        angles.legend(loc="upper right", fontsize=9)

        (self.floor_curve,) = floors.plot(COUNTS, np.ones(len(COUNTS)), color=OWN, lw=2)
        (self.floor_dot,) = floors.plot([2], [1], "o", color=INK, ms=8)
        floors.plot(COUNTS, np.log(COUNTS), ":", color="0.45", label="guessing")
        floors.set(xlim=(2, MOST), yscale="log", ylim=(1e-6, 100), xlabel="classes C (number)")
        floors.set(ylabel="loss floor, margin included", title="loss floor ≥ 10.00 for 40 classes")
        floors.legend(loc="lower right", fontsize=9)

    def update(self):
        classes, dim = self.value("classes"), self.value("dim")
        of_all = answers(*(self.value(name) for name in ("dim", "s", "m2", "m3")))
        answer = of_all[classes]
        if dim == 2:
            self._move_circle(classes)
        else:
            self._move_sphere(classes)
        needed = answer.angle_needed
        fits = answer.attainable
        if fits is None and self.apart >= needed:
            fits = True  # here is an arrangement in which they do
        verdict = {True: "fit", False: "do NOT fit", None: "may fit"}[fits]
        self.axes[0].title.set_text(f"{classes} classes {verdict}")
        self.needed.set_ydata([math.degrees(min(needed, math.radians(200)))] * 2)
        self.angle_dot.set_data([classes], [math.degrees(self.apart)])
        most = most_classes(dim, needed)
        known = (
            f"{most} or more" if most == MOST else f"{'at most' if dim == 2 else 'about'} {most}"
        )
        self.axes[1].title.set_text(f"room for {known} classes")
        floors = [of_all[count].loss_floor for count in COUNTS]
        self.floor_curve.set_ydata(np.maximum(floors, 1e-12))
        self.floor_dot.set_data([classes], [max(answer.loss_floor, 1e-12)])
        kind = "" if answer.exact else "≥ "
        self.axes[2].title.set_text(
            f"loss floor {kind}{answer.loss_floor:.2g} for {classes} classes"
        )

    def _move_circle(self, classes):
        directions = 2 * np.pi * np.arange(classes) / classes
        margins = {"m2": self.value("m2"), "m3": self.value("m3")}
        first = content_on_circle(AROUND, 0.0, directions[1:], **margins)
        for c, (area, arrow) in enumerate(zip(self.areas, self.arrows, strict=True)):
            area.set_visible(c < classes)
            arrow.set_visible(c < classes)
            if c < classes:
                turned = AROUND + directions[c]
                x, y = np.cos(turned), np.sin(turned)
                area.set_xy(np.stack([first * x, first * y], axis=1))
                arrow.set_data((0, math.cos(directions[c])), (0, math.sin(directions[c])))
        self.dots.set_data([], [])
        self.apart = largest_angle(classes, 2)[0]

    def _move_sphere(self, classes):
        points = spread_on_sphere(classes) @ VIEW.T  # the last coordinate points to the reader
        self.apart = smallest_angle(points)
        radius = content_radius(self.apart, self.value("m2"), self.value("m3"))
        for c, (area, arrow) in enumerate(zip(self.areas, self.arrows, strict=True)):
            arrow.set_visible(False)
            area.set_visible(c < classes and radius is not None)
            if c < classes and radius is not None:
                area.set_xy(_cap(points[c], radius))
        front = points[points[:, 2] > 0]
        self.dots.set_data(front[:, 0], front[:, 1])


def _cap(centre, radius):
    """The outline of a cap of the sphere, seen from the front; what is behind moves to the rim."""
    helper = np.eye(3)[np.abs(centre).argmin()]
    first = np.cross(centre, helper)
    first /= np.linalg.norm(first)
    second = np.cross(centre, first)
    around = np.linspace(0, 2 * np.pi, 49)[:, None]
    ring = np.cos(radius) * centre + np.sin(radius) * (
        np.cos(around) * first + np.sin(around) * second
    )
    flat = ring[:, :2].copy()
    behind = ring[:, 2] < 0
    if behind.all():
        return np.zeros((1, 2))
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    flat[behind] /= lengths[behind]
    return flat
