"""Embeddings on the unit sphere, turned by hand or by two sliders, always upright."""

from .. import plots
from .live import TrainingRecord
from .panel import Panel, slider

MOST = 500  # points: a slider must not wait for the drawing


class Sphere(Panel):
    """The directions of 3-D embeddings and class weights on the unit sphere.

    Args:
        embeddings: (N, 3), of which at most about 500 are drawn; or a recorded training, whose
            last moment is shown: a `TrainingRecord`, a recorder, or a name such as "arcface-3d".
        labels: (N,) class numbers 0 to 9; None for a recorded training.
        weights: (3, C) class weights, or None.
        around, up: where it is seen from at first: azimuth and elevation, in degrees.
        title: above the sphere.
        name: of the figure, unique in the notebook.
    """

    def __init__(
        self, embeddings, labels=None, weights=None, around=-60, up=25, title=None, name="sphere"
    ):
        controls = {
            "around": slider("turn around", "degrees", -180, 180, around),
            "up": slider("look from above", "degrees", -90, 90, up),
        }
        if labels is None:
            record = TrainingRecord.of(embeddings)
            embeddings, labels = record.embeddings[-1], record.labels
            weights = record.weights[-1]
        every = -(-len(embeddings) // MOST)
        embeddings, labels = embeddings[::every], labels[::every]
        alt = (
            f"{len(embeddings)} embeddings as digits on the unit sphere, turned by {around} "
            f"degrees and seen from {up} degrees above, with arrows for the class weights."
        )
        super().__init__(
            name, alt, controls, width=6.4, height=5.8, subplot_kw={"projection": "3d"}
        )
        plots.plot_unit_sphere(self.axes, embeddings, labels, weights)
        if title:
            self.axes.set_title(title)
        self.ready()
        self.on_event("button_release_event", self._follow_mouse)

    def update(self):
        self.axes.view_init(elev=self.value("up"), azim=self.value("around"))

    def _follow_mouse(self, event):
        """Put the sliders to where the mouse has turned the sphere."""
        around = (round(self.axes.azim) + 180) % 360 - 180
        up = max(-90, min(90, round(self.axes.elev)))
        if (around, up) != (self.value("around"), self.value("up")):
            with self.silently():
                self.controls["around"].value, self.controls["up"].value = around, up
