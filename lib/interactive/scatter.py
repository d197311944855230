"""A scatter of digits that can be zoomed, and that shows the image under the pointer."""

import numpy as np
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from .. import plots
from .panel import Panel, choice, slider

ALL = "all digits"


class Scatter(Panel):
    """Points of the plane, each drawn as its digit; the pointer, or a slider, shows its image.

    To zoom, use the slider, which magnifies around the chosen point, or the figure's toolbar.

    Args:
        points: (N, 2): 2-D embeddings, or a t-SNE map of others.
        labels: (N,) class numbers 0 to 9.
        images: (N, height, width[, 1]) in [0, 1].
        title: above the points.
        name: of the figure, unique in the notebook.
    """

    def __init__(self, points, labels, images, title="embeddings", name="scatter"):
        self.points, self.labels, self.images = np.asarray(points), np.asarray(labels), images
        controls = {
            "digit": choice("show", [ALL, *sorted({int(label) for label in labels})], ALL),
            "point": slider("chosen point", "number", 0, len(points) - 1, 0),
            "zoom": slider("zoom", "times", 1.0, 20.0, 1.0, 0.5),
        }
        alt = f"{len(points)} points, each drawn as its digit, with the image of one of them."
        super().__init__(name, alt, controls, width=7.5, height=6)
        plots.plot_embeddings(self.axes, self.points, self.labels)
        self.axes.set(title=title, xlabel="first coordinate", ylabel="second coordinate")
        self.middle = self.points.mean(axis=0)
        self.reach = 1.08 * np.abs(self.points - self.middle).max()
        self.picture = OffsetImage(
            np.zeros(np.shape(images)[1:3]), zoom=2, cmap="Greys", clim=(0, 1)
        )
        self.frame = AnnotationBbox(
            self.picture, (0, 0), xybox=(44, 44), boxcoords="offset points", pad=0.2,
            arrowprops={"arrowstyle": "-"})  # fmt: skip
        self.axes.add_artist(self.frame)
        self.last_zoom = None
        self.ready()
        self.on_event("motion_notify_event", self._look_up)

    def update(self):
        chosen = self.value("point")
        self.picture.set_data(np.squeeze(self.images[chosen]))
        self.frame.xy = self.points[chosen]
        for digit, collection in zip(range(10), self.axes.collections, strict=True):
            collection.set_visible(self.value("digit") in (ALL, digit))
        if self.value("zoom") != self.last_zoom:  # else what the toolbar zoomed to would be lost
            self.last_zoom = self.value("zoom")
            middle = self.middle if self.last_zoom == 1 else self.points[chosen]
            low, high = (middle + sign * self.reach / self.last_zoom for sign in (-1, 1))
            self.axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))

    def _look_up(self, event):
        if event.inaxes is not self.axes or event.buttons:
            return
        nearest = plots.nearest_point(self.axes, self.points, event)
        if nearest is not None and nearest != self.value("point"):
            self.controls["point"].value = nearest
