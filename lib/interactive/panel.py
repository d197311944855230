"""What all interactive figures share: a figure, its controls, and a still for who has neither."""

import base64
import contextlib
import io

import ipywidgets as widgets
import matplotlib.pyplot as plt

from .. import plots
from ..scene import MARGINS

# The panel that each name stands for. Making it anew closes the old one: its widgets, its figure
# and its callbacks, so that running a cell again and again leaves nothing behind.
_open_panels = {}


class Panel:
    """A figure with controls under it, which a notebook shows when it is a cell's last value.

    A subclass draws its artists in `__init__` and ends with `self.ready()`; its `update` moves
    them to where the controls say. A title is set by `title.set_text`, since `set_title` would
    look for its place again, in each picture.

    Args:
        name: of the figure, unique in the notebook; it is made anew under the same name.
        alt: a sentence that describes the figure to who does not see it.
        controls: a dictionary, name → widget with a `value`.
        columns, rows, width, height, **subplot_options: as for `plots.new_figure`.
    """

    def __init__(self, name, alt, controls, **figure_options):
        if name in _open_panels:
            _open_panels[name].close()
        self.alt = plots.described(alt)["image/png"]["alt"]
        self.name, self.controls = name, controls
        self.fig, self.axes = plots.new_figure(name, **figure_options)
        self._handlers = []
        self._silent = False
        _open_panels[name] = self

    def ready(self, *other_widgets):
        """Fix the layout for what is drawn now, and follow the controls from here on.

        Call it when labels and titles are as wide as they get.
        """
        for _ in range(2):  # once more, as axes of another size may have other tick labels
            self.fig.draw_without_rendering()
        self.fig.set_layout_engine("none")
        for ax in self.fig.axes:
            _fix_labels(ax)
        self.update()
        self.box = None
        if plots.is_live(self.fig):
            rows = widgets.HBox(
                [*self.controls.values(), *other_widgets],
                layout=widgets.Layout(flex_flow="row wrap"),
            )
            self.box = widgets.VBox([self.fig.canvas, rows])
        for control in self.controls.values():
            control.observe(self._on_change, names="value")

    def update(self):
        """Move the artists to where the controls say."""
        raise NotImplementedError

    def value(self, name):
        return self.controls[name].value

    def on_event(self, event, handler):
        """Listen to an event of the figure, such as "motion_notify_event", until it is closed."""
        self._handlers.append(self.fig.canvas.mpl_connect(event, handler))

    @contextlib.contextmanager
    def silently(self):
        """Set several controls, and move the artists once at the end."""
        self._silent = True
        try:
            yield
        finally:
            self._silent = False
        self._on_change(None)

    def _on_change(self, change):
        if not self._silent:
            self._silent = True  # a control that `update` itself sets asks for no second picture
            try:
                self.update()
            finally:
                self._silent = False
            self.fig.canvas.draw_idle()

    def still(self):
        """The figure as it is now, as the bytes of a PNG."""
        file = io.BytesIO()
        self.fig.savefig(file, format="png", dpi="figure")
        return file.getvalue()

    def _repr_mimebundle_(self, **kwargs):
        data = {"text/plain": self.alt}
        if self.box is None:
            data["image/png"] = base64.b64encode(self.still()).decode()
        else:
            # The canvas' own picture: with it the canvas learns its size, which the browser would
            # otherwise have to ask of a kernel that may be busy with a training.
            data["image/png"] = self.fig.canvas._repr_mimebundle_()["image/png"]
            shown = self.box._repr_mimebundle_(**kwargs)
            data |= {kind: value for kind, value in shown.items() if kind.endswith("view+json")}
        return data, plots.described(self.alt)

    def close(self):
        """Give back the figure, its widgets and its callbacks."""
        for handler in self._handlers:
            self.fig.canvas.mpl_disconnect(handler)
        for control in self.controls.values():
            control.unobserve_all()
        if self.box is not None:
            _close_all(self.box)
        plt.close(self.fig)
        if _open_panels.get(self.name) is self:
            del _open_panels[self.name]


def _fix_labels(ax):
    """Leave title and axis labels where they are: to place them takes longer than to draw them."""
    ax.set_title(ax.get_title(), y=ax.title.get_position()[1])
    if hasattr(ax, "zaxis"):
        return  # in 3-D the labels turn with the axes
    for axis in (ax.xaxis, ax.yaxis):
        place = axis.label.get_transform().transform(axis.label.get_position())
        axis.set_label_coords(*ax.transAxes.inverted().transform(place))


def _close_all(widget):
    """Close a widget and all that belongs to it: each is an object in the browser as well."""
    parts = [*getattr(widget, "children", ()), getattr(widget, "toolbar", None)]
    for part in filter(None, parts):
        _close_all(part)
    for part in (getattr(widget, "layout", None), getattr(widget, "style", None)):
        if part is not None:
            part.close()
    widget.close()


def slider(name, unit, low, high, value, step=1):
    """A slider whose description has its unit; whole numbers if the step is one."""
    kind = widgets.IntSlider if isinstance(step, int) else widgets.FloatSlider
    return kind(
        value=value,
        min=low,
        max=high,
        step=step,
        description=f"{name} ({unit})",
        style={"description_width": "185px"},
        layout=widgets.Layout(width="430px"),
    )


def stops(name, unit, values, value):
    """A slider that stops at these values only, such as numbers that grow by a factor."""
    return widgets.SelectionSlider(
        options=values,
        value=value,
        description=f"{name} ({unit})",
        style={"description_width": "185px"},
        layout=widgets.Layout(width="430px"),
    )


def margin_slider(margin, value, name=None):
    """A slider for one of `scene.MARGINS`, called by its key unless it has a name."""
    unit, low, high, step = MARGINS[margin]
    return slider(name or margin, unit, low, high, value, step)


def choice(name, options, value):
    """A drop-down list."""
    return widgets.Dropdown(
        options=options,
        value=value,
        description=name,
        style={"description_width": "185px"},
        layout=widgets.Layout(width="430px"),
    )


def switch(name, value=False):
    """A box to tick."""
    return widgets.Checkbox(
        value=value, description=name, indent=False, layout=widgets.Layout(width="250px")
    )
