"""Record a few trainings for playback, and make the README's animation from one of them.

python -m lib.tools.playback

The trainings are recorded runs with seed 0, watched at about thirty moments: data/playback_*.npz.
"""

from pathlib import Path

from lib import data, interactive, losses, plots, training
from lib.backbones import build_backbone
from lib.interactive.live import SCORES
from lib.records import results

import keras
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
GIF = ROOT / "notebooks" / "images" / "training.gif"
COUNT = 500  # digits kept
COLOURS = 64
# Training steps at which a picture is taken. In the warm-up's 314 fewer, since there the running
# averages of batch normalisation lag behind the weights.
STEPS = (0, 20, 50, 100, 150, 200, 250, 290, 310, 320, 330, 340, 350, 360, 370, 380, 400, 420, 440)
STEPS += (460, 490, 520, 560, 600, 650, 700, 760, 820, 880, 942)
MARGINS = {2: 0.2, 3: 0.4}


def watch_softmax(digits, watchers, dim=2):
    model = training.build_softmax_model(embedding_dim=dim)
    training.train(model, digits, losses.softmax_cross_entropy, verbose=False, callbacks=watchers)


def watch_arcface(digits, watchers, dim=2):
    backbone = build_backbone(dim)
    head = training.warm_up(backbone, digits, verbose=False, callbacks=watchers)
    model = keras.Sequential([backbone, head])
    loss = losses.ArcFaceLoss(margin=MARGINS[dim], scale=16)
    epochs = training.epoch_budget() - 2
    training.train(model, digits, loss, epochs, verbose=False, callbacks=watchers)


TRAININGS = {
    "softmax-2d": lambda digits, watchers: watch_softmax(digits, watchers),
    "arcface-2d": lambda digits, watchers: watch_arcface(digits, watchers),
    "arcface-3d": lambda digits, watchers: watch_arcface(digits, watchers, dim=3),
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
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def animate(name, path=GIF):
    """Write a training as a GIF with one palette for all its frames."""
    panel = interactive.Playback(name, name="animation")
    panel.fig.set_dpi(68)
    frames = []
    for moment in range(len(panel.record.epochs)):
        panel.controls["moment"].value = moment
        panel.fig.canvas.draw()
        frames.append(Image.fromarray(np.asarray(panel.fig.canvas.buffer_rgba())).convert("RGB"))
    sheet = np.concatenate([np.asarray(frame) for frame in frames[5::8]])
    palette = Image.fromarray(sheet).quantize(
        COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [300] * (len(frames) - 1) + [4000]
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True
    )
    plt.close("all")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB, {len(frames)} frames")


def main():
    matplotlib.use("agg")
    plots.use_course_style()
    digits = data.load_digits("lesson")
    for name in TRAININGS:
        record(name, digits)
    animate("arcface-2d")


if __name__ == "__main__":
    main()
