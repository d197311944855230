"""Self-checks of lesson 02. A `Hint` answers one wrong answer that people really give."""

import math

from lib.course import Hint, require_shape, self_check

import numpy as np


@self_check("2.1 a step of a centre")
def step(new_centre):
    x, y = require_shape(new_centre, (2,)).astype(float)
    if y != 0:
        raise Hint("the centre moves straight towards the mean: its second coordinate stays 0.")
    if math.isclose(x, 5):
        raise Hint("half of the way would be α alone; the share is α·n/(1 + n) with n = 4.")
    if math.isclose(x, 20):
        raise Hint("that is α·n of the way, beyond the mean: divide by 1 + n.")
    if math.isclose(x, 1):
        raise Hint("the sum runs over all four images: their pulls add up before the division.")
    if math.isclose(x, 10):
        raise Hint("only a full step without the 1 would get there; here α = 0.5.")
    if x < 0:
        raise Hint("c − x points away from the images, and the rule subtracts it.")
    if not math.isclose(x, 4):
        raise Hint("the share of the way is α·n/(1 + n) with α = 0.5 and n = 4.")
    return "right: 0.5 · 4/5 of the way from 0 to 10."


@self_check("2.2 center loss")
def loss(center_loss):
    x = np.array([[1.0, 0, 0], [0, 2, 0], [0, 2, 2], [3, 0, 0]])
    labels = np.array([0, 1, 1, 2])
    centres = np.array([[0.0, 0, 0], [0, 2, 0], [0, 0, 0]])
    squared = ((x - centres[labels]) ** 2).sum(axis=1)
    value = np.asarray(center_loss(x, labels, centres))
    if value.shape != ():
        raise Hint(f"one number is wanted, yours has shape {value.shape}: average over the batch.")
    right = 0.5 * squared.mean()
    if np.isclose(value, 2 * right):
        raise Hint("twice too large: the energy is *half* the squared distance.")
    if np.isclose(value, 4 * right):
        raise Hint("four times too large: that is the paper's sum over the batch; average.")
    if np.isclose(value, right / 3) or np.isclose(value, 2 * right / 3):
        raise Hint("that averages over the dimensions, too: sum over axis 1, then average.")
    if np.isclose(value, 0.5 * np.sqrt(squared).mean()):
        raise Hint("that is half the distance; the energy takes its square.")
    if not np.isclose(value, right):
        raise Hint("each image belongs to the centre of its own label: centres[labels].")
    return "right: the loss that the library adds to softmax, before its weight."


@self_check("2.3 find the mistakes")
def repaired_update(update):
    centres = np.array([[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]])
    x = np.array([[2.0, 0.0], [4.0, 0.0], [6.0, 0.0], [1.0, 3.0]])
    labels = np.array([0, 0, 0, 1])
    given = centres.copy()
    with np.errstate(all="ignore"):
        moved = require_shape(update(given, x, labels, 0.5), (3, 2))
    if not np.array_equal(given, centres):
        raise Hint("your function changes the centres that it was given: work on a copy.")
    if not np.isfinite(moved).all():
        raise Hint("class 2 has no image in the batch and becomes NaN: divide by 1 + n, not by n.")
    if np.allclose(moved[0], [3, 0]):
        raise Hint(
            "class 0 ends at (3, 0): only its last image counted. `a[labels] -= …` keeps one of "
            "the values written to the same place; np.add.at adds them all."
        )
    if np.allclose(moved[0], [6, 0]):
        raise Hint("all three images count now, but class 0 goes beyond their mean: 1 + n.")
    if np.allclose(moved[0], [0.75, 0]):
        raise Hint("class 0 ends at (0.75, 0): divided by 1 + n, but only its last image counts.")
    if np.allclose(moved[0], [2, 0]):
        raise Hint("divide by 1 + n, not by n: one image alone is to count less than many.")
    if not np.allclose(moved, [[1.5, 0], [1, 1.5], [5, 5]]):
        raise Hint("class 0, with three images of mean (4, 0), should go 0.5 · 3/4 of the way.")
    return "right: every image counts, and no centre overshoots."


@self_check("2.4 translate a weight")
def translated_weight(weight):
    if math.isclose(weight, 0.003):
        raise Hint("her loss is 2/512 of the paper's, so the weight must make up for it.")
    if math.isclose(weight, 0.003 * 512):
        raise Hint("the mean lacks the paper's ½, too: her loss is 2/D of it, not 1/D.")
    if math.isclose(weight, 0.003 * 2 / 512):
        raise Hint("her loss is already too small by 2/512; a smaller weight makes it worse.")
    if not math.isclose(weight, 0.768, rel_tol=0.01):
        raise Hint("set weight · (2/D) equal to 0.003, with D = 512.")
    return "right: 0.768. A weight means nothing without the code it belongs to."
