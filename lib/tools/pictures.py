"""Draw the pictures in notebooks/images: that of the README, and maps of recorded embeddings.

python -m lib.tools.pictures
"""

from pathlib import Path

from lib import data, evaluation, plots, results, runs

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
    model = runs.RUNS["softmax-2d"].train(seed=0, digits=digits)
    trained = evaluation.embed(model.layers[0], digits.x_test)
    fig, axes = plots.new_figure("before and after", columns=3, width=10.5, height=3.8)
    plots.plot_embeddings(axes[0], principal_components(digits), digits.y_test)
    plots.plot_embeddings(axes[1], trained, digits.y_test)
    plots.plot_unit_circle(axes[2], trained, digits.y_test, model.layers[1].kernel)
    for ax, title in zip(axes, ("before training", "after training", "directions"), strict=True):
        ax.set_title(title)
    save(fig, path)


def draw_demo_maps(path):
    """t-SNE maps of what the 20-D demonstration learned with each loss, from kept embeddings."""
    names = [name for name in runs.MAPPED_RUNS if name in runs.DEMO_RUNS]
    columns = len(names)
    fig, axes = plots.new_figure("maps", columns=columns, width=3.2 * columns, height=3.6)
    for ax, name in zip(axes, names, strict=True):
        embeddings, labels = results.recorded_embeddings(name)
        plots.plot_tsne(ax, plots.tsne(embeddings), labels)
        ax.set(title=runs.DEMO_RUNS[name].title, ylabel="")
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
    draw_demo_maps(IMAGES / "demo_20d_maps.png")


if __name__ == "__main__":
    main()
