"""Draw the pictures in notebooks/images, and record the trainings that lessons play back.

python -m lib.tools.pictures

Drawn are the pictures of README and results, and what lessons do not train live. For playback,
recorded runs are trained again with seed 0 and watched at about thirty moments:
data/playback_*.npz; one of them becomes an animation.
"""

import functools
import io
from pathlib import Path

from lib import data, diagrams, evaluation, faces, interactive, losses, plots, training
from lib.backbones import build_backbone
from lib.files import write_atomically
from lib.interactive.live import SCORES
from lib.palette import LOSS_COLORS
from lib.records import results, runs

import keras
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "notebooks" / "images"
COUNT = 500  # digits kept for playback
# Training steps at which a picture is taken. In the warm-up's 314 fewer, since there the running
# averages of batch normalisation lag behind the weights.
STEPS = (0, 20, 50, 100, 150, 200, 250, 290, 310, 320, 330, 340, 350, 360, 370, 380, 400, 420, 440)
STEPS += (460, 490, 520, 560, 600, 650, 700, 760, 820, 880, 942)
# Each loss, the lesson that has its formula, and the loss with a share of its margin or λ.
FIELD_STAGES = (
    (1, "softmax", lambda share: "softmax"),
    (2, "center loss", lambda share: diagrams.CenterPull(diagrams.CENTRE_WEIGHT * share)),
    (3, "modified softmax", lambda share: "modified softmax"),
    (3, "NormFace", lambda share: "NormFace"),
    (4, "SphereFace", lambda share: (1 + share, 0, 0)),
    (5, "CosFace", lambda share: (1, 0, 0.35 * share)),
    (6, "ArcFace", lambda share: (1, 0.5 * share, 0)),
    (7, "combined", lambda share: (1, 0.3 * share, 0.2 * share)),
)


# --- pictures -------------------------------------------------------------------------------------


def draw_cosface_toy(path):
    """The petals of the digits 0 to 7 with the margins of CosFace's toy, each trained anew."""
    digits = data.load_digits("lesson")
    margins = (0, 0.1, 0.2)
    fig, axes = plots.new_figure("toy", columns=3, width=10.5, height=3.8)
    for ax, margin in zip(axes, margins, strict=True):
        run = runs.RUNS[f"cosface-2d-eight-digits-m{margin}"]
        model = run.train(seed=0, data=digits)
        seen = digits.only(range(run.num_classes))
        embeddings = evaluation.embed(model.layers[0], seen.x_test)
        plots.plot_unit_circle(ax, embeddings, seen.y_test, model.layers[1].kernel)
        ax.set_title(f"m = {margin}")
    save(fig, path)


def draw_maps(path, known):
    """t-SNE maps of what each loss of these runs learned, from the kept embeddings."""
    names = [name for name in runs.MAPPED_RUNS if name in known]
    columns, rows = 3, -(-len(names) // 3)
    fig, axes = plots.new_figure("maps", columns, rows, width=3.3 * columns, height=3.5 * rows)
    for ax, name in zip(axes.flat, names, strict=True):
        embeddings, labels = results.recorded_embeddings(name, mode="lesson")
        plots.plot_tsne(ax, plots.tsne(embeddings), labels)
        title = known[name].title.replace(", s 16", "").removesuffix(", 64-D")
        ax.set(title=title, xlabel="", ylabel="", box_aspect=1, adjustable="datalim")
    save(fig, path)


def draw_faces(path, chosen=(9, 16, 30), columns=12, gap=4):
    """A row of pictures for each of some people who do not exist."""
    people = faces.people("test", max(chosen) + 1, columns).only(chosen)
    pictures = faces.portraits(people.traits[people.labels], people.nuisances, size=68)
    framed = np.pad(pictures, [(0, 0), (gap, 0), (gap, 0), (0, 0)], constant_values=1)
    sheet = framed.reshape(len(chosen), columns, *framed.shape[1:]).swapaxes(1, 2)
    sheet = sheet.reshape(len(chosen) * framed.shape[1], -1, 3)
    write(Image.fromarray((255 * sheet).round().astype("uint8")).quantize(256), path)


def save(fig, path):
    """Save a figure as a PNG with a palette, a third of the size of one without."""
    drawn = io.BytesIO()
    fig.savefig(drawn, dpi=150)
    plt.close(fig)
    write(Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE), path)


def write(image, path, **options):
    """Write an image of Pillow's to a file whose name ends in its format."""
    content = io.BytesIO()
    image.save(content, format=path.suffix[1:], **options)
    write_atomically(path, content.getvalue())
    report(path)


def report(path):
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


# --- trainings to play back -----------------------------------------------------------------------


def watch_softmax(digits, watchers):
    model = training.build_softmax_model(embedding_dim=2)
    training.train(model, digits, losses.softmax_cross_entropy, verbose=False, callbacks=watchers)


def watch_arcface(digits, watchers, dim, margin):
    backbone = build_backbone(dim)
    head = training.warm_up(backbone, digits, verbose=False, callbacks=watchers)
    model = keras.Sequential([backbone, head])
    loss = losses.ArcFaceLoss(margin=margin, scale=16)
    epochs = training.epoch_budget() - 2
    training.train(model, digits, loss, epochs, verbose=False, callbacks=watchers)


TRAININGS = {
    "softmax-2d": watch_softmax,
    "arcface-2d": functools.partial(watch_arcface, dim=2, margin=0.2),
    "arcface-3d": functools.partial(watch_arcface, dim=3, margin=0.4),
}


def record(name, digits):
    """Train one of `TRAININGS` with seed 0 and keep what it looked like.

    Raises:
        RuntimeError: if the training is not the recorded one: the watching must not change it.
    """
    recorder = interactive.Recorder(digits, COUNT, STEPS)
    training.set_seed(0)
    TRAININGS[name](digits, [recorder])
    recorded = results.recorded(name).rows["0"]
    scores = dict(zip(SCORES, recorder.record.scores[-1], strict=True))
    if any(abs(scores[key] - recorded[key]) > 1e-4 for key in SCORES):
        raise RuntimeError(f"{name} ended with {scores}, recorded is {recorded}.")
    path = recorder.record.save(name)
    report(path)


def animate(name, path):
    """Write a training as a GIF."""
    panel = interactive.Playback(name, name="animation")
    panel.fig.set_dpi(68)
    frames = []
    for moment in range(len(panel.record.epochs)):
        panel.controls["moment"].value = moment
        frames.append(frame_of(panel.fig))
    plt.close("all")
    write_animation(frames, [300] * (len(frames) - 1) + [4000], path)


def animate_fields(path, steps=6):
    """Write the fields of the eight losses as a GIF, each growing out of the one without margin."""
    frames, durations = [], []
    for lesson, loss, setting in FIELD_STAGES:
        grows = setting(0.0) != setting(1.0)
        for step in range(steps + 1) if grows else (steps,):
            fig, ax = plots.new_figure("fields", width=5, height=5.2)
            share = step / steps
            shown = setting(share)
            if isinstance(shown, tuple):
                shown = losses.MarginLoss(*shown, scale=diagrams.SCALE)
            diagrams.draw_field(ax, shown, color=LOSS_COLORS[loss])
            formulas = diagrams.MAP[lesson].formula.split("      ")  # lesson 3 has two
            formula = next(text for text in formulas if text.startswith(loss))
            ax.set(title=loss, xlabel=formula.partition(":  ")[2])
            ax.xaxis.label.set_size(14)
            ax.spines[:].set_visible(False)
            frames.append(frame_of(fig))
            durations.append(2500 if step == steps else 120)
    plt.close("all")
    write_animation(frames, durations, path, colours=192)


def frame_of(fig):
    """A figure as it is now, an image of Pillow's."""
    fig.canvas.draw()
    return Image.fromarray(np.asarray(fig.canvas.buffer_rgba())).convert("RGB")


def write_animation(frames, durations, path, colours=128):
    """Write images as a GIF with one palette for all, each shown for so many milliseconds."""
    sheet = np.concatenate([np.asarray(frame) for frame in frames])
    palette = Image.fromarray(sheet).quantize(
        colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    options = {"append_images": frames[1:], "duration": durations, "loop": 0, "optimize": True}
    write(frames[0], path, save_all=True, **options)


def main():
    matplotlib.use("agg")
    plots.use_course_style()
    animate_fields(IMAGES / "fields.gif")
    draw_faces(IMAGES / "faces.png")
    draw_maps(IMAGES / "demo_20d_maps.png", runs.DEMO_RUNS)
    draw_maps(IMAGES / "maps_64d.png", runs.RUNS)
    draw_cosface_toy(IMAGES / "cosface_toy.png")
    digits = data.load_digits("lesson")
    for name in TRAININGS:
        record(name, digits)
    animate("arcface-2d", IMAGES / "training.gif")


if __name__ == "__main__":
    main()
