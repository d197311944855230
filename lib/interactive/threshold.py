"""A threshold that is moved over the scores of pairs, and what it accepts."""

import numpy as np

from .. import plots, verification
from .panel import Panel, slider


class ThresholdSlider(Panel):
    """The scores of genuine and impostor pairs, the ROC curve, and a threshold to move on both.

    Args:
        scores: `lib.verification.PairScores`.
        threshold: where it stands at first.
        name: of the figure, unique in the notebook.
    """

    def __init__(self, scores, threshold=0.5, name="threshold"):
        self.scores = scores
        low = float(min(scores.genuine[0], scores.impostor[0]))
        controls = {
            "threshold": slider(
                "threshold", "cosine", np.floor(low * 10) / 10, 1.0, threshold, 0.01
            )
        }
        alt = (
            "Left: the scores of genuine and impostor pairs with the threshold as a line; what "
            "lies to its right is accepted. Right: the ROC curve with the threshold's point on it."
        )
        super().__init__(name, alt, controls, columns=2, width=10, height=4)
        left, right = self.axes
        plots.plot_pair_scores(left, scores, log=True)
        self.line = left.axvline(threshold, color=plots.INK, lw=2)
        self.left_title = left.set_title("TAR 0.000, FAR 0.0000000")
        far, tar, _ = verification.roc_points(scores)
        plots.plot_roc(right, {"this model": (far, tar)})
        right.get_legend().remove()
        self.lowest = far[0]
        (self.point,) = right.plot([self.lowest], [0], "o", color=plots.INK, ms=9)
        self.right_title = right.set_title(f"{len(scores.impostor):,} impostors accepted")
        self.ready()

    def update(self):
        threshold = self.value("threshold")
        far, tar = float(self.scores.far(threshold)), float(self.scores.tar(threshold))
        self.line.set_xdata([threshold, threshold])
        self.point.set_data([max(far, self.lowest)], [tar])
        self.left_title.set_text(f"TAR {tar:.3f}, FAR {far:.2g}")
        self.right_title.set_text(f"{round(far * len(self.scores.impostor)):,} impostors accepted")
