"""Pairs of pictures, the score of each, and a threshold that says which are the same person."""

import numpy as np
from matplotlib.patches import Rectangle

from .. import inputs
from ..plots import COLORS, EDGES, INK
from .panel import Panel, slider

GOOD, BAD = EDGES[0], COLORS[2]  # blue and red, told apart by the words, too


class SameOrNot(Panel):
    """Pairs of pictures with their cosines; what is above the threshold is called the same.

    Args:
        pictures: (N, 2, height, width, 3), in colour, in [0, 1].
        cosines: (N,), of the two embeddings of each pair.
        same: (N,), whether they are the same person.
        threshold: where it stands at first.
        columns: pairs in a row.
        name: of the figure, unique in the notebook.
    """

    def __init__(self, pictures, cosines, same, threshold=0.5, columns=4, name="pairs"):
        pictures = inputs.array(pictures, "pictures", ("pairs", 2, "height", "width", 3))
        self.cosines = inputs.array(cosines, "cosines", (len(pictures),))
        self.same = np.asarray(same, bool)
        if self.same.shape != self.cosines.shape:
            raise ValueError(f"same: expected {len(pictures)} truth values, one for each pair.")
        alt = (
            f"{len(pictures)} pairs of faces, each with the cosine of its embeddings and what the "
            "threshold makes of it: same person or not, and a cross where that is wrong."
        )
        controls = {"threshold": slider("threshold", "cosine", -0.2, 1.0, threshold, 0.01)}
        rows = -(-len(pictures) // columns)
        super().__init__(name, alt, controls, width=2.4 * columns, height=1.4 * rows + 0.6)
        self._draw(pictures, columns, rows)
        self.title = self.axes.set_title("at threshold −0.00")
        self.ready()

    def _draw(self, pictures, columns, rows):
        height, width = pictures.shape[2:4]
        below, beside = 0.4 * height, 0.3 * width  # for the words, and between two pairs
        self.frames, self.words = [], []
        for number, pair in enumerate(pictures):
            row, column = divmod(number, columns)
            top, left = row * (height + below), column * (2 * width + beside)
            sides = (left, left + 2 * width, top + height, top)
            self.axes.imshow(np.concatenate(pair, axis=1), extent=sides, interpolation="nearest")
            frame = Rectangle((left, top), 2 * width, height, fill=False, lw=3)
            self.frames.append(self.axes.add_patch(frame))
            place = left + width, top + height + below / 4
            self.words.append(self.axes.text(*place, "", ha="center", va="top", fontsize=12))
        self.axes.set(
            xlim=(-beside / 4, columns * (2 * width + beside) - 0.75 * beside),
            ylim=(rows * (height + below), -below / 4),
        )
        self.axes.set_axis_off()

    def update(self):
        threshold = self.value("threshold")
        called = self.cosines >= threshold
        wrong = called != self.same
        for frame, words, cosine, accepted, error in zip(
            self.frames, self.words, self.cosines, called, wrong, strict=True
        ):
            color = BAD if error else GOOD if accepted else INK
            frame.set(edgecolor=color, alpha=1 if accepted or error else 0.25)
            verdict = "same" if accepted else "not the same"
            words.set(text=f"{cosine:.2f}  {verdict}{'  ✗' if error else ''}", color=color)
        self.title.set_text(
            f"at threshold {threshold:.2f}: {called.sum()} called the same, "
            f"{(called & wrong).sum()} wrongly; {(~called & wrong).sum()} not recognised"
        )
