"""What others compute in PyTorch, for the table of PyTorch in `bench.py`.

    pip install pytorch-metric-learning

The course needs neither. The formula of insightface is written out here after its paper and its
code: arccos and cos of all cosines, in place, and the margin without a gradient of its own.
"""

import numpy as np
import torch
from torch.nn import functional

try:
    from pytorch_metric_learning.losses import ArcFaceLoss as MetricLearningArcFace
except ImportError:
    MetricLearningArcFace = None

MARGIN, SCALE = 0.3, 16


def linear(weights):
    """Plain softmax without Keras."""
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


PEERS = {"no Keras: linear + cross-entropy": linear, "no Keras: insightface's formula": insightface}
if MetricLearningArcFace is not None:
    PEERS["no Keras: pytorch-metric-learning"] = metric_learning


def peer_step(name, embeddings, labels, classes):
    """(function of x and y to the loss, weights that it has a gradient in)."""
    shape = (embeddings.shape[-1], classes)
    weights = torch.empty(shape, device=embeddings.device).uniform_(-0.05, 0.05).requires_grad_()
    loss = PEERS[name](weights)
    # the module has a copy of the weights, as a parameter of its own
    return loss, list(loss.parameters()) if isinstance(loss, torch.nn.Module) else [weights]
