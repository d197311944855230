"""The losses once more, in float64 NumPy and by other formulas than `lib` uses.

Nothing here imports keras or lib: a mistake would have to be made twice, in two forms.
"""

import numpy as np


def psi(angle):
    """The cosine of what is left of the angle after whole half turns, lower by 2 for each."""
    angle = np.asarray(angle, "float64")
    half_turns = np.floor(angle / np.pi)
    return np.cos(angle - half_turns * np.pi) - 2 * half_turns


def margin_logit(cosine, m1=1.0, m2=0.0, m3=0.0):
    cosine = np.clip(np.asarray(cosine, "float64"), -1.0, 1.0)
    return psi(m1 * np.arccos(cosine) + m2) - m3


def margin_slope(cosine, m1=1.0, m2=0.0):
    """d margin_logit / d cosine; psi falls at the rate |sin|, and theta at 1 / sin(theta)."""
    theta = np.arccos(np.clip(np.asarray(cosine, "float64"), -1.0, 1.0))
    return m1 * np.abs(np.sin(m1 * theta + m2)) / np.sin(theta)


def softmax(logits):
    logits = np.asarray(logits, "float64")
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exps / exps.sum(axis=1, keepdims=True)


def cross_entropy(labels, logits):
    """Losses (B,) and their gradient in the logits (B, C)."""
    logits = np.asarray(logits, "float64")
    rows = np.arange(len(logits))
    gaps = logits - logits[rows, labels][:, None]
    largest = gaps.max(axis=1, keepdims=True)
    losses = largest[:, 0] + np.log(np.exp(gaps - largest).sum(axis=1))
    gradient = softmax(logits)
    # 1 - p_y as the sum of the others: subtracting p_y from 1 would lose its digits
    gradient[rows, labels] = 0.0
    gradient[rows, labels] = -gradient.sum(axis=1)
    return losses, gradient


def margin_loss(labels, cosines, m1=1.0, m2=0.0, m3=0.0, scale=64.0):
    """Losses (B,) and their gradient in the cosines (B, C)."""
    cosines = np.asarray(cosines, "float64")
    rows = np.arange(len(cosines))
    logits = scale * cosines
    target = cosines[rows, labels]
    logits[rows, labels] = scale * margin_logit(target, m1, m2, m3)
    losses, gradient = cross_entropy(labels, logits)
    gradient = scale * gradient
    with np.errstate(divide="ignore", invalid="ignore"):  # at +-1 there is no derivative
        gradient[rows, labels] *= margin_slope(target, m1, m2)
    return losses, gradient


def cosine_head(embeddings, kernel):
    """Cosines (B, C), each from its own two vectors."""
    embeddings, kernel = np.asarray(embeddings, "float64"), np.asarray(kernel, "float64")
    lengths = np.linalg.norm(embeddings, axis=1)[:, None] * np.linalg.norm(kernel, axis=0)[None]
    return embeddings @ kernel / lengths


def center_step(centers, embeddings, labels, alpha=0.5, weights=None):
    """The centres after one batch by the paper's algorithm, class by class."""
    centers = np.array(centers, "float64")
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights, "float64")
    for j in range(len(centers)):
        of_class = labels == j
        away = weights[of_class, None] * (centers[j] - embeddings[of_class])
        centers[j] -= alpha * away.sum(axis=0) / (1 + weights[of_class].sum())
    return centers


def numeric_gradient(function, point, step=1e-6):
    """Central differences of a function (B, C) -> (B,) whose rows do not depend on each other."""
    gradient = np.zeros_like(point)
    for j in range(point.shape[1]):
        ahead, behind = point.copy(), point.copy()
        ahead[:, j] += step
        behind[:, j] -= step
        gradient[:, j] = (function(ahead) - function(behind)) / (2 * step)
    return gradient


def with_target(labels, others, target, scale):
    """Losses (B,) of scaled logits in which the target's has been replaced."""
    logits = np.array(others, "float64")
    logits[np.arange(len(logits)), labels] = target
    return cross_entropy(labels, scale * logits)[0]


def own(labels, values):
    return np.asarray(values, "float64")[np.arange(len(values)), labels]


def mv_softmax(labels, cosines, t, m2, m3, scale):
    """MV-Softmax, rival by rival."""
    target = margin_logit(own(labels, cosines), 1.0, m2, m3)
    others = np.array(cosines, "float64")
    for i, j in np.ndindex(others.shape):
        if others[i, j] > target[i]:
            others[i, j] = (t + 1) * others[i, j] + t
    return with_target(labels, others, target, scale)


def curricular(labels, cosines, t, margin, scale):
    """CurricularFace, rival by rival."""
    target = margin_logit(own(labels, cosines), 1.0, margin)
    others = np.array(cosines, "float64")
    for i, j in np.ndindex(others.shape):
        if others[i, j] > target[i]:
            others[i, j] *= t + others[i, j]
    return with_target(labels, others, target, scale)


def magface(labels, cosines, lengths, margins, ends, weight, scale):
    """MagFace; the margin by interpolation between its two ends."""
    length = np.clip(lengths, *ends)
    margin = np.interp(length, ends, margins)
    target = margin_logit(own(labels, cosines), 1.0, margin)
    longest = ends[1]
    return with_target(labels, cosines, target, scale) + weight * (1 / length + length / longest**2)


def adaface(labels, cosines, lengths, mean, std, margin, h, scale):
    """AdaFace, sample by sample."""
    target = []
    for cosine, length in zip(own(labels, cosines), lengths, strict=True):
        q = min(max(h * (length - mean) / (std + 1e-3), -1), 1)
        angle = max(np.arccos(cosine) - margin * q, 0)
        target.append(psi(angle) - (margin * q + margin))
    return with_target(labels, cosines, target, scale)


def adacos_step(scale, labels, cosines):
    """The scale of dynamic AdaCos after one batch, without its lower end."""
    sums = [
        sum(np.exp(scale * c) for j, c in enumerate(row) if j != y)
        for y, row in zip(labels, np.asarray(cosines, "float64"), strict=True)
    ]
    angles = sorted(np.arccos(own(labels, cosines)))
    return np.log(np.mean(sums)) / np.cos(min(np.pi / 4, angles[(len(angles) - 1) // 2]))
