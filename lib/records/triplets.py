"""Semi-hard triplets, the rival of all losses with classes: what the record compares them with.

Schroff, Kalenichenko and Philbin, FaceNet, CVPR 2015, section 3.
"""

import keras
import numpy as np
from keras import ops

from ..layers import unit_rows


class SemiHardTripletLoss(keras.losses.Loss):
    """For each genuine pair of a batch max(0, margin + |a - p|^2 - |a - n|^2).

    a and p are images of one person, in either order; all embeddings are divided by their length.
    The mean over the p of each a is one value a sample; 0 for an image that is alone.
    n is the closest image of somebody else that is farther from a than p is; where there is none,
    the farthest of all.

    Args:
        margin: in squared distances, which go from 0 to 4; FaceNet has 0.2.
    """

    def __init__(self, margin=0.2, **kwargs):
        super().__init__(**kwargs)
        self.margin = margin

    def call(self, labels, embeddings):
        unit = unit_rows(ops.cast(embeddings, "float32"))
        distances = 2.0 - 2.0 * ops.matmul(unit, ops.transpose(unit))
        labels = ops.reshape(labels, (-1,))
        same = ops.equal(labels[:, None], labels[None, :])
        others = ops.where(same, -np.inf, distances)
        # of a and p, over all n: (batch, batch, batch)
        farther = ops.logical_and(~same[:, None, :], distances[:, None, :] > distances[:, :, None])
        closest = ops.min(ops.where(farther, distances[:, None, :], np.inf), axis=2)
        farthest = ops.max(others, axis=1, keepdims=True)
        negative = ops.where(ops.isfinite(closest), closest, farthest)
        values = ops.maximum(0.0, self.margin + distances - negative)
        values = ops.where(ops.isfinite(negative), values, 0.0)  # a batch of one person has none
        genuine = ops.cast(same, "float32") - ops.eye(ops.shape(distances)[0])
        return ops.sum(genuine * values, axis=1) / ops.maximum(1.0, ops.sum(genuine, axis=1))


class PersonBatches(keras.utils.PyDataset):
    """Batches of `group` images of each of some people; each image comes about once an epoch.

    Args:
        images: (n, …).
        labels: (n,), at least `group` images of each person.
        batch_size: a multiple of `group`.
        group: how many images of a person are in a batch together.
    """

    def __init__(self, images, labels, batch_size, group=4):
        super().__init__()
        self.images, self.labels, self.batch_size, self.group = images, labels, batch_size, group
        self.rng = np.random.default_rng(np.random.randint(2**31))  # as `training.set_seed` says
        self.on_epoch_end()

    def on_epoch_end(self):
        """Draw the groups of the next epoch; what does not fill a group is left out of it."""
        rows = self.rng.permutation(len(self.labels))
        rows = rows[np.argsort(self.labels[rows], kind="stable")]
        _, starts, sizes = np.unique(self.labels[rows], return_index=True, return_counts=True)
        groups = [
            rows[start : start + size // self.group * self.group].reshape(-1, self.group)
            for start, size in zip(starts, sizes, strict=True)
        ]
        self.groups = self.rng.permutation(np.concatenate(groups))

    def __len__(self):
        return -(-self.groups.size // self.batch_size)

    def __getitem__(self, index):
        step = self.batch_size // self.group
        rows = self.groups[index * step : (index + 1) * step].reshape(-1)
        return self.images[rows], self.labels[rows]
