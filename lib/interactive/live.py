"""Watch a training: live while `fit` runs, and played back afterwards.

`Recorder` is a Keras callback that keeps what a training looked like, `Playback` shows it with a
slider and a play button, and `LiveTraining` is a recorder that shows each epoch as it ends. None of
them changes the training: they draw no random numbers and change no weight.
"""

import io
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path

import ipywidgets as widgets
import keras
import numpy as np
from IPython.display import display
from matplotlib.colors import to_rgb

from .. import evaluation, plots, training
from ..files import write_atomically
from ..plots import COLORS, EDGES, INK, OTHER, OWN
from .panel import Panel, slider

FOLDER = Path(__file__).resolve().parents[2] / "data"
SCORES = tuple(value.name for value in fields(evaluation.Scoreboard))
GRID = np.linspace(-np.pi, np.pi, 721)


@dataclass
class TrainingRecord:
    """What a training looked like at some moments.

    labels: (N,) of the held-out digits whose embeddings are kept.
    epochs: when, in epochs from the start; grows with each moment, as all that follow.
    embeddings: (N, D) each.
    weights: (D, C) each, the class weights; None for a model that has none yet.
    scores: each the five values of `lib.evaluation.Scoreboard`, in its order.
    """

    labels: np.ndarray
    epochs: list = field(default_factory=list)
    embeddings: list = field(default_factory=list)
    weights: list = field(default_factory=list)
    scores: list = field(default_factory=list)

    def save(self, name, folder=FOLDER):
        """Write to `data/playback_NAME.npz`, in half precision; return the path."""
        path = Path(folder) / f"playback_{name}.npz"
        content = io.BytesIO()
        np.savez_compressed(
            content,
            labels=self.labels.astype("uint8"),
            epochs=np.array(self.epochs, dtype="float32"),
            embeddings=np.array(self.embeddings, dtype="float16"),
            weights=np.array(self.weights, dtype="float16"),
            scores=np.array(self.scores, dtype="float32"),
        )
        write_atomically(path, content.getvalue())
        return path

    @classmethod
    def of(cls, source):
        """The record of a recorder, of a name in `data/`, or `source` itself if it is one."""
        return cls.load(source) if isinstance(source, str) else getattr(source, "record", source)

    @classmethod
    def load(cls, name, folder=FOLDER):
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file; the message says how to make it.
        """
        path = Path(folder) / f"playback_{name}.npz"
        if not path.exists():
            known = ", ".join(p.stem.split("_", 1)[1] for p in Path(folder).glob("playback_*.npz"))
            raise FileNotFoundError(
                f"{path} is missing: `make pictures` records it, if {name!r} is one of its "
                f"trainings. Recorded are: {known or 'none'}."
            )
        with np.load(path, allow_pickle=False) as arrays:
            parts = {name: arrays[name].astype("float32") for name in ("embeddings", "weights")}
            return cls(
                labels=arrays["labels"].astype("int32"),
                epochs=arrays["epochs"].tolist(),
                embeddings=list(parts["embeddings"]),
                weights=list(parts["weights"]),
                scores=arrays["scores"].tolist(),
            )


class Recorder(keras.callbacks.Callback):
    """Keep embeddings, class weights and scores of the held-out digits while a model is trained.

    One recorder can accompany several trainings that follow each other, such as a warm-up and what
    comes after it: its epochs go on counting.

    Args:
        digits: what `lib.data.load_digits` returned.
        count: how many of the held-out digits are kept.
        steps: at which training steps, counted over all phases; None for the end of each epoch.
    """

    def __init__(self, digits, count=1000, steps=None):
        super().__init__()
        self.digits, self.count = digits, count
        self.wanted = None if steps is None else sorted(steps)
        self.record = TrainingRecord(digits.y_test[:count])
        self.epochs_before = self.steps_before = 0

    def on_train_begin(self, logs=None):
        if not self.record.epochs:
            self._keep(0.0)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.wanted is None:
            return
        steps = self.params["steps"]
        in_epoch = min(batch + 1, steps)  # with several steps in one call it counts beyond the end
        done = self.steps_before + self.epoch * steps + in_epoch
        due = [step for step in self.wanted if 0 < step <= done]
        if due:
            self.wanted = [step for step in self.wanted if step > done]
            self._keep(self.epochs_before + self.epoch + in_epoch / steps)

    def on_epoch_end(self, epoch, logs=None):
        if self.wanted is None:
            self._keep(self.epochs_before + epoch + 1)

    def on_train_end(self, logs=None):
        self.epochs_before += self.epoch + 1
        self.steps_before += self.params["steps"] * (self.epoch + 1)

    def _keep(self, epochs):
        head, backbone = _head_of(self.model), evaluation.backbone_of(self.model)
        embeddings = evaluation.embed(backbone, self.digits.x_test)
        self.record.epochs.append(epochs)
        self.record.embeddings.append(embeddings[: self.count])
        self.record.weights.append(np.array(keras.ops.convert_to_numpy(head.kernel)))
        self.record.scores.append(_scores(backbone, head, embeddings, self.digits))


def _head_of(model):
    """The layer that makes a model's output of an embedding."""
    return getattr(model, "head", None) or model.layers[-1]


def _scores(backbone, head, embeddings, digits):
    """The five values of the scoreboard; NaN where a model has no direction to measure yet.

    As `evaluation.evaluate_model` has them, but no image goes through the network twice.
    """
    try:
        board = evaluation.scoreboard(
            logits=keras.ops.convert_to_numpy(head(embeddings)),
            embeddings=embeddings,
            labels=digits.y_test,
            centre_embeddings=evaluation.embed(backbone, digits.x_clean),
            centre_labels=digits.y_clean,
        )
    except ValueError:
        return (np.nan,) * len(SCORES)
    return astuple(board)


class Playback(Panel):
    """A recorded training with a slider and a play button.

    Args:
        record: a `TrainingRecord`, a recorder, or the name of one in `data/`, such as "arcface-2d".
        name: of the figure, unique in the notebook.
    """

    def __init__(self, record, name="playback"):
        self.record = TrainingRecord.of(record)
        self.dim = self.record.embeddings[0].shape[1]
        if self.dim not in (2, 3):
            raise ValueError(
                f"a training is drawn in 2 or 3 dimensions, not in {self.dim}: build the backbone "
                "with embedding_dim=2 or 3."
            )
        moments = slider("moment", "number", 0, max(len(self.record.epochs) - 1, 1), 0)
        moments.value = len(self.record.epochs) - 1
        shape = "in the plane and their directions" if self.dim == 2 else "on the unit sphere"
        alt = (
            f"The embeddings of the held-out digits {shape} at one moment of a training, the class "
            "weights as arrows, and curves over the epochs of accuracy, equal error rate, and the "
            "angles to the own and to the nearest other class centre."
        )
        columns = 3 if self.dim == 2 else 2
        super().__init__(name, alt, {"moment": moments}, columns=columns, width=10.5, height=3.9)
        self.petals_of = {}
        if self.dim == 2:
            self._draw_plane()
        else:
            self._draw_sphere()
        self._draw_curves(self.record.epochs[-1])
        self.play = self.link = None
        if plots.is_live(self.fig):
            self.play = widgets.Play(value=moments.value, max=moments.max, interval=250)
            self.link = widgets.jslink((self.play, "value"), (moments, "value"))
        self.ready(*filter(None, [self.play]))

    def _draw_plane(self):
        ax, circle = self.axes[:2]
        plots.plot_embeddings(ax, self.record.embeddings[0], self.record.labels)
        self.points = ax.collections[:10]
        self.rays = [ax.plot((0, 0), (0, 0), color=COLORS[c], lw=1.2, zorder=1)[0]
                     for c in range(self.classes)]  # fmt: skip
        ax.set_title("embeddings after 10.00 epochs")
        self.petals = [
            circle.fill((0, 0, 0), (0, 0, 0), fc=(*to_rgb(COLORS[c]), 0.55), ec=EDGES[c],
                        lw=0.8)[0] for c in range(10)]  # fmt: skip
        circle.fill(np.cos(GRID), np.sin(GRID), color="white", zorder=2)
        circle.plot(np.cos(GRID), np.sin(GRID), color=INK, lw=0.8, zorder=3)
        self.arrows = [circle.plot((0, 1), (0, 0), color=COLORS[c], lw=2, zorder=4)[0]
                       for c in range(self.classes)]  # fmt: skip
        self.digits = [circle.text(0, 0, str(c), ha="center", va="center", weight="bold", zorder=6)
                       for c in range(self.classes)]  # fmt: skip
        circle.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal", title="directions")
        circle.set(xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        circle.set(xlabel=r"$x_1/\|x\|$", ylabel=r"$x_2/\|x\|$")

    def _draw_sphere(self):
        place = self.axes[0].get_subplotspec()
        self.axes[0].remove()
        ax = self.axes[0] = self.fig.add_subplot(place, projection="3d")
        plots.draw_sphere(ax)
        look = {"ls": "", "ms": 5, "mew": 0.3}
        self.points = [
            ax.plot([], [], [], marker=f"${c}$", color=COLORS[c], mec=EDGES[c], **look)[0]
            for c in range(10)
        ]
        self.arrows = [ax.plot([0, 0], [0, 0], [0, 1], color=COLORS[c], lw=2)[0]
                       for c in range(self.classes)]  # fmt: skip
        self.digits = [ax.text(0, 0, 1, str(c), weight="bold") for c in range(self.classes)]

    def _draw_curves(self, epochs):
        place = self.axes[-1].get_subplotspec().subgridspec(2, 1)
        self.axes[-1].remove()
        shares, angles = (self.fig.add_subplot(part) for part in place)
        looks = {
            "head_accuracy": (shares, OWN, "-o", "accuracy by the head"),
            "centre_accuracy": (shares, COLORS[3], ":^", "by nearest centre"),
            "eer": (shares, OTHER, "--s", "equal error rate"),
            "own_angle": (angles, OWN, "-o", "to own centre"),
            "nearest_angle": (angles, OTHER, "--s", "centre to nearest other"),
        }
        self.curves = {
            name: ax.plot([], [], line, color=color, label=label, ms=4)[0]
            for name, (ax, color, line, label) in looks.items()
        }
        self.cursors = [ax.axvline(0, color=INK, lw=0.8, ls=":") for ax in (shares, angles)]
        shares.set(ylim=(-0.05, 2.3), yticks=(0, 0.5, 1), ylabel="share")  # legend above 1
        angles.set(ylim=(0, 150), yticks=(0, 30, 60, 90), xlabel="epochs", ylabel="angle (degrees)")
        shares.legend(fontsize=9, loc="upper right")
        angles.legend(fontsize=9, loc="upper right")
        self.curve_axes = shares, angles
        self.reach(epochs)

    def reach(self, epochs):
        """Let the curves' axes go on to a number of epochs."""
        for ax in self.curve_axes:
            ax.set_xlim(0, max(epochs, 1))

    def show_last(self):
        """Show the newest moment at once, also while the kernel is busy with a training."""
        last = len(self.record.epochs) - 1
        self._silent = True
        for control in filter(None, (self.controls["moment"], self.play)):
            control.max = max(last, 1)
            control.value = last
        self._silent = False
        self.update()
        self.fig.canvas.draw()  # not draw_idle: that waits for an answer that a busy kernel misses

    @property
    def classes(self):
        return self.record.weights[0].shape[1]

    def update(self):
        moment = min(self.value("moment"), len(self.record.epochs) - 1)
        epoch = self.record.epochs[moment]
        if self.dim == 2:
            self._move_plane(moment)
        else:
            self._move_sphere(moment)
        self.axes[0].title.set_text(f"embeddings after {epoch:.3g} epochs")
        scores = np.array(self.record.scores).T
        for name, values in zip(SCORES, scores, strict=True):
            self.curves[name].set_data(self.record.epochs, values)
        for cursor in self.cursors:
            cursor.set_xdata([epoch, epoch])

    def _move_plane(self, moment):
        embeddings, labels = self.record.embeddings[moment], self.record.labels
        limit = 1.08 * np.abs(embeddings).max()
        self.axes[0].set(xlim=(-limit, limit), ylim=(-limit, limit))
        unit = _unit_columns(self.record.weights[moment])
        for c, points in enumerate(self.points):
            points.set_offsets(embeddings[labels == c])
        for c, direction in enumerate(unit.T):
            self.rays[c].set_data(*np.outer(direction, (0, 0.95 * limit)))
            self.arrows[c].set_data(*np.outer(direction, (0, 0.97)))
            self.digits[c].set_position(0.62 * direction)
        for petal, outline in zip(self.petals, self._outlines(moment), strict=True):
            petal.set_xy(outline)

    def _outlines(self, moment):
        if moment not in self.petals_of:
            embeddings = self.record.embeddings[moment]
            angles = np.arctan2(embeddings[:, 1], embeddings[:, 0])
            labels = self.record.labels
            found = {c for c in range(10) if (labels == c).any()}
            heights = [
                plots.circular_density(angles[labels == c], GRID) if c in found else 0 * GRID
                for c in range(10)
            ]
            scale = 0.9 / max(height.max() for height in heights)
            radii = [1 + scale * height for height in heights]
            self.petals_of[moment] = [
                np.stack([radius * np.cos(GRID), radius * np.sin(GRID)], axis=1) for radius in radii
            ]
        return self.petals_of[moment]

    def _move_sphere(self, moment):
        embeddings, labels = self.record.embeddings[moment], self.record.labels
        unit = _unit_columns(embeddings.T).T
        for c, points in enumerate(self.points):
            points.set_data_3d(*unit[labels == c].T)
        for c, direction in enumerate(_unit_columns(self.record.weights[moment]).T):
            self.arrows[c].set_data_3d(*np.outer(direction, (0, 1)))
            self.digits[c].set_position_3d(1.15 * direction)

    def close(self):
        if self.link is not None:
            self.link.close()
        super().close()


class LiveTraining(Recorder):
    """A Keras callback that shows the embeddings and the scoreboard after each epoch.

        training.train(model, digits, loss, callbacks=[interactive.LiveTraining(digits)])

    It appears when training begins. Afterwards its slider goes back to any epoch. For 2-D and 3-D
    embeddings.

    Args:
        digits: what `lib.data.load_digits` returned.
        name: of the figure, unique in the notebook.
        epochs: how far the curves' axes go at first; by default the mode's budget.
    """

    def __init__(self, digits, name="live training", epochs=None):
        super().__init__(digits)
        self.name, self.epochs = name, epochs or training.epoch_budget()
        self.panel = self.handle = None

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        if self.panel is None:
            self.panel = Playback(self.record, self.name)
            self.handle = display(self.panel, display_id=True)
        self.panel.reach(max(self.epochs, self.epochs_before + self.params["epochs"]))

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.panel.show_last()
        if self.handle is not None and not plots.is_live(self.panel.fig):
            self.handle.update(self.panel)

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        if self.handle is not None:
            self.handle.update(self.panel)  # what is stored with the notebook is the last state


def _unit_columns(weights):
    return weights / np.linalg.norm(weights, axis=0, keepdims=True)
