"""Draw the pictures in notebooks/images: that of the README, and what lessons do not train live.

python -m lib.tools.pictures
"""

from pathlib import Path

from lib import data, evaluation, plots
from lib.records import results, runs

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "notebooks" / "images"


def principal_components(digits):
    """The two directions in which the pixels vary most: an embedding without training."""
    clean, test = (x.reshape(len(x), -1) for x in (digits.x_clean, digits.x_test))
    _, _, directions = np.linalg.svd(clean - clean.mean(axis=0), full_matrices=False)
    return (test - clean.mean(axis=0)) @ directions[:2].T


def draw_before_after(path):
    """The held-out digits before and after training, and the petals of the trained classes."""
    digits = data.load_digits("lesson")
    model = runs.RUNS["softmax-2d"].train(seed=0, data=digits)
    trained = evaluation.embed(model.layers[0], digits.x_test)
    fig, axes = plots.new_figure("before and after", columns=3, width=10.5, height=3.8)
    plots.plot_embeddings(axes[0], principal_components(digits), digits.y_test)
    plots.plot_embeddings(axes[1], trained, digits.y_test)
    plots.plot_unit_circle(axes[2], trained, digits.y_test, model.layers[1].kernel)
    for ax, title in zip(axes, ("before training", "after training", "directions"), strict=True):
        ax.set_title(title)
    save(fig, path)


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


def save(fig, path):
    """Save a figure as a PNG with a palette, a third of the size of one without."""
    fig.savefig(path, dpi=150)
    Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path)
    plt.close(fig)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def main():
    matplotlib.use("agg")
    plots.use_course_style()
    IMAGES.mkdir(exist_ok=True)
    draw_before_after(IMAGES / "before_after.png")
    draw_maps(IMAGES / "demo_20d_maps.png", runs.DEMO_RUNS)
    draw_maps(IMAGES / "maps_64d.png", runs.RUNS)
    draw_cosface_toy(IMAGES / "cosface_toy.png")


if __name__ == "__main__":
    main()
