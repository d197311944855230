"""The circle playground: drag an image and the class weights, and see where the loss pushes it."""

import math

import numpy as np

from ..plots import COLORS, INK, OTHER, OWN
from .curves import logits_on_circle, push_on_circle, softmax
from .panel import Panel, choice, margin_slider, slider

IMAGE = "the image"
TURN = math.radians(40)  # how far an arrow for a push of s per radian goes around the circle
RADIUS = 1.3  # of that arrow


class CirclePlayground(Panel):
    """An image of class 0 and the class weights on a circle, to be dragged around it.

    The bars show each class's probability, with the margin; the arrow outside the circle shows
    which way the loss turns the image, and how strongly beside the scale: the grey arrow below is
    a push of s per radian. From the keyboard: choose what to move, then its direction.

    Args:
        classes: how many class weights, evenly spaced at first; 2 to 10.
        scale: s to begin with.
        m1, m2, m3: margins to begin with; those that are given get a slider.
        image: the direction of the image at first, in degrees.
        name: of the figure, unique in the notebook.
    """

    def __init__(
        self, classes=5, scale=16, m1=None, m2=None, m3=None, image=25, name="circle playground"
    ):
        if not 2 <= classes <= 10:
            raise ValueError(f"classes must be from 2 to 10, the colours there are; got {classes}.")
        self.directions = {IMAGE: math.radians(image % 360)}
        self.directions |= {c: 2 * math.pi * c / classes for c in range(classes)}
        given = {"m1": m1, "m2": m2, "m3": m3}
        options = [(IMAGE, IMAGE), *((f"class weight {c}", c) for c in range(classes))]
        controls = {
            "s": slider("scale s", "no unit", 1, 64, scale),
            **{
                margin: margin_slider(margin, value)
                for margin, value in given.items()
                if value is not None
            },
            "what": choice("what to move", options, IMAGE),
            "direction": slider("its direction", "degrees", 0, 359, round(image) % 360),
        }
        alt = (
            f"Left: a circle with {classes} class weights as arrows, an image of class 0 as a dot "
            f"at {image} degrees, and an arrow along the circle that shows which way the loss "
            "pushes the image. Right: a bar for the probability of each class."
        )
        super().__init__(name, alt, controls, columns=2, width=9, height=4.2, width_ratios=(1, 1.1))
        self.grabbed = None
        self._draw()
        controls["what"].observe(self._aim_slider, names="value")  # first, before `update` reads it
        self.ready()
        self.on_event("button_press_event", self._grab)
        self.on_event("motion_notify_event", self._drag)
        self.on_event("button_release_event", self._let_go)

    @property
    def classes(self):
        return len(self.directions) - 1

    def _draw(self):
        ax, bars = self.axes
        around = np.linspace(0, 2 * np.pi, 361)
        ax.plot(np.cos(around), np.sin(around), color=INK, lw=0.8)
        ax.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal", title="drag the dot or an arrow")
        ax.set_axis_off()
        self.arrows, self.digits = {}, {}
        for c in range(self.classes):
            self.arrows[c] = ax.annotate(
                "", (1, 0), (0, 0), arrowprops={"arrowstyle": "-|>", "lw": 2, "color": COLORS[c],
                                                "shrinkA": 0, "shrinkB": 0})  # fmt: skip
            self.digits[c] = ax.text(1, 0, str(c), ha="center", va="center", weight="bold")
        self.push = _arc_arrow(ax, OTHER)
        unit = _arc_arrow(ax, "0.6")
        _move_arc_arrow(unit, -math.pi / 2 - TURN / 2, TURN)
        self.unit = ax.text(0, -1.42, "a push of s = 16", ha="center", va="top", fontsize=10)
        (self.dot,) = ax.plot([1], [0], "o", ms=13, mfc=COLORS[0], mec=INK, mew=1.5, zorder=5)
        self.dot_text = ax.text(1, 0, "0", ha="center", va="center", zorder=6, fontsize=9)

        places = np.arange(self.classes)
        self.bars = bars.bar(places, np.zeros(self.classes), color=COLORS[: self.classes])
        for bar, color in zip(self.bars, [OWN, *["0.75"] * (self.classes - 1)], strict=True):
            bar.set(color=color, ec=INK, lw=0.8)
        self.numbers = [bars.text(p, 0, "", ha="center", va="bottom", fontsize=9) for p in places]
        bars.set(ylim=(0, 1.12), yticks=(0, 0.5, 1), xticks=places, xlabel="class")
        bars.set(
            ylabel="probability, with the margin",
            title="loss 10.00; the push is 10.00 per radian, 0.00 s",
        )

    def margins(self):
        neutral = {"m1": 1.0, "m2": 0.0, "m3": 0.0}
        return {m: self.value(m) if m in self.controls else neutral[m] for m in neutral}

    def update(self):
        image = self.directions[IMAGE]
        if self.grabbed is None:
            self.directions[self.value("what")] = math.radians(self.value("direction"))
            image = self.directions[IMAGE]
        weights = np.array([self.directions[c] for c in range(self.classes)])
        setting = self.margins() | {"scale": self.value("s")}
        logits = logits_on_circle(image, weights, 0, **setting)
        chances = softmax(logits)
        push = push_on_circle(image, weights, 0, **setting)
        loss = float(np.logaddexp.reduce(logits) - logits[0])

        for c, direction in enumerate(weights):
            tip = np.array([math.cos(direction), math.sin(direction)])
            self.arrows[c].xy = 0.97 * tip
            self.digits[c].set_position(1.13 * tip)
        self.dot.set_data([math.cos(image)], [math.sin(image)])
        self.dot_text.set_position((math.cos(image), math.sin(image)))
        _move_arc_arrow(self.push, image, TURN * push / self.value("s"))
        self.unit.set_text(f"a push of s = {self.value('s')}")
        for bar, number, chance in zip(self.bars, self.numbers, chances, strict=True):
            bar.set_height(chance)
            number.set_text(f"{chance:.2f}")
            number.set_y(chance + 0.01)
        share = abs(push) / self.value("s")
        self.axes[1].title.set_text(
            f"loss {loss:.2f}; the push is {abs(push):.2f} per radian, {share:.2f} s"
        )

    def _aim_slider(self, change):
        self._set_slider(self.directions[change["new"]])

    def _set_slider(self, direction):
        self.controls["direction"].value = round(math.degrees(direction)) % 360

    def _grab(self, event):
        zooming = getattr(self.fig.canvas.toolbar, "mode", "")
        if event.inaxes is not self.axes[0] or zooming:
            return
        pointer = math.atan2(event.ydata, event.xdata)
        distances = {
            what: math.hypot(event.xdata - math.cos(angle), event.ydata - math.sin(angle))
            for what, angle in self.directions.items()
        }
        nearest = min(distances, key=distances.get)
        if distances[nearest] > 0.35:
            return
        with self.silently():
            self.grabbed = nearest
            self.controls["what"].value = nearest
            self._turn(pointer)

    def _drag(self, event):
        if self.grabbed is not None and event.inaxes is self.axes[0]:
            with self.silently():
                self._turn(math.atan2(event.ydata, event.xdata))

    def _turn(self, direction):
        self.directions[self.grabbed] = direction % (2 * math.pi)
        self._set_slider(direction)

    def _let_go(self, event):
        self.grabbed = None


def _arc_arrow(ax, color):
    """An arrow along the circle: its shaft and its head, to be moved."""
    (shaft,) = ax.plot([], [], color=color, lw=3, solid_capstyle="butt")
    (head,) = ax.fill((0, 0, 0), (0, 0, 0), color=color, lw=0)
    return shaft, head


def _move_arc_arrow(arrow, start, turn):
    """Let it begin at a direction and turn by an angle, in radians; the head is part of that."""
    shaft, head = arrow
    point = math.copysign(min(0.09, 0.6 * abs(turn)), turn)
    angles = start + np.linspace(0, turn - point, 30)
    shaft.set_data(RADIUS * np.cos(angles), RADIUS * np.sin(angles))
    width = 0.6 * abs(point)
    corners = ((RADIUS - width, angles[-1]), (RADIUS, start + turn), (RADIUS + width, angles[-1]))
    head.set_xy([(radius * math.cos(angle), radius * math.sin(angle)) for radius, angle in corners])
