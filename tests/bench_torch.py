"""The same step on PyTorch: what `bench.py` compares with where these packages are installed.

    pip install torch pytorch-metric-learning

The course needs neither. The formula of insightface is written out here after its paper and its
code: arccos and cos of all cosines, in place, and the margin without a gradient of its own.
"""

from importlib import metadata

import numpy as np

try:
    import torch
    from torch.nn import functional
except ImportError:
    torch = None
try:
    from pytorch_metric_learning.losses import ArcFaceLoss as MetricLearningArcFace
except ImportError:
    MetricLearningArcFace = None

MARGIN, SCALE = 0.3, 16
NAMES = ("PyTorch: linear + cross-entropy", "PyTorch: insightface", "PyTorch: metric-learning")


def linear(weights):
    """Plain softmax: the step that the margins are compared with."""
    return lambda x, y: functional.cross_entropy(x @ weights, y)


def insightface(weights):
    """ArcFace as insightface computes it."""

    def loss(x, y):
        cosines = functional.normalize(x) @ functional.normalize(weights, dim=0)
        cosines = cosines.clamp(-1, 1)
        with torch.no_grad():  # in place, so that the gradient passes as if nothing had been done
            cosines.arccos_()
            cosines[torch.arange(len(y)), y] += MARGIN
            cosines.cos_()
        return functional.cross_entropy(SCALE * cosines, y)

    return loss


def metric_learning(weights):
    """ArcFace of pytorch-metric-learning, with the same weights; its margin is in degrees."""
    dim, classes = weights.shape
    module = MetricLearningArcFace(classes, dim, margin=float(np.degrees(MARGIN)), scale=SCALE)
    module.W = torch.nn.Parameter(weights.detach())
    return module


def training_steps(size):
    """Name → a function that runs forward and backward once; empty without PyTorch."""
    if torch is None:
        return {}
    losses = dict(zip(NAMES, (linear, insightface, metric_learning), strict=True))
    if MetricLearningArcFace is None:
        del losses[NAMES[2]]
    return {name: _step(make, size) for name, make in losses.items()}


def versions():
    """The releases that were compared with."""
    found = {}
    for name in ("torch", "pytorch-metric-learning"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _step(make, size):
    batch, dim, classes = size
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.standard_normal((batch, dim)).astype("float32"), requires_grad=True)
    y = torch.tensor(rng.integers(0, classes, batch))
    weights = torch.tensor(
        rng.uniform(-0.05, 0.05, (dim, classes)).astype("float32"), requires_grad=True
    )
    loss = make(weights)
    parameters = list(loss.parameters()) if isinstance(loss, torch.nn.Module) else [weights]

    def run():
        value = loss(x, y)
        gradients = torch.autograd.grad(value, [x, *parameters])
        return float(value.detach()), float(gradients[-1][..., 0].sum())

    return run
