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


@self_check("2.2 choose the semi-hard image")
def semi_hard(choose):
    to_positive = np.array([1.0, 0.5, 2.0])
    to_others = np.array([[0.4, 1.5, 1.2, 3.0], [0.6, 0.9, 0.5, 0.7], [1.0, 1.8, 0.3, 1.9]])
    chosen = require_shape(choose(to_positive, to_others), (3,))
    if chosen.dtype.kind not in "iu":
        raise Hint("those are no columns: return the places of the images, not their distances.")
    first, equal, nobody = chosen.tolist()
    if first == 0:
        raise Hint("that is the hardest image, the closest of all; a semi-hard one is beyond p.")
    if first == 3:
        raise Hint("beyond p, but the farthest; the closest of those beyond p is wanted.")
    if first == 1:
        raise Hint("beyond p, but not the closest of those: the third is nearer than the second.")
    if first != 2:
        raise Hint("0.4, 1.5, 1.2 and 3.0, and p at 1.0: the closest beyond p is in column 2.")
    if equal == 2:
        raise Hint("an image as far away as p is not farther: it would make the loss m.")
    if equal != 0:
        raise Hint("0.6, 0.9, 0.5 and 0.7, and p at 0.5: the closest beyond p is in column 0.")
    if nobody != 3:
        raise Hint(
            "p is at 2.0 and no other image is beyond it: the farthest, column 3. (argmin of a row "
            "of infinities is 0.)"
        )
    return "right: hard enough to cost something, and seldom a wrong label."


@self_check("2.3 find the mistakes")
def repaired_update(update):
    centres = np.zeros((9, 2))
    centres[7], centres[4] = 1, 5
    x = np.array([[2.0, 0.0], [4.0, 0.0], [6.0, 0.0], [1.0, 3.0]])
    labels = np.array([2, 2, 2, 7])
    given = centres.copy()
    result = update(given, x, labels, 0.5)
    if not isinstance(result, tuple) or len(result) != 2:
        raise Hint("return two arrays: the classes of the batch, and their new centres.")
    classes, moved = result
    if not np.array_equal(given, centres):
        raise Hint("your function changes the centres that it was given: work on a copy.")
    if not np.array_equal(classes, [2, 7]):
        raise Hint("the classes of the batch are 2 and 7, once each and in ascending order.")
    if np.shape(moved) == (9, 2):
        raise Hint("all nine centres come back: of ten million, only the batch's are wanted.")
    moved = require_shape(moved, (2, 2))
    if np.allclose(moved[0], [3, 0]):
        raise Hint(
            "class 2 ends at (3, 0): only its last image counted. `a[places] -= …` keeps one of "
            "the values written to the same place; np.add.at adds them all."
        )
    if np.allclose(moved[0], [6, 0]):
        raise Hint("all three images count now, but class 2 goes beyond their mean: 1 + n.")
    if np.allclose(moved[0], [0.75, 0]):
        raise Hint("class 2 ends at (0.75, 0): divided by 1 + n, but only its last image counts.")
    if np.allclose(moved[0], [2, 0]):
        raise Hint("divide by 1 + n, not by n: one image alone is to count less than many.")
    if not np.allclose(moved, [[1.5, 0], [1, 1.5]]):
        raise Hint("class 2, with three images of mean (4, 0), should go 0.5 · 3/4 of the way.")
    return "right: every image counts, no centre overshoots, and the others are left alone."


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
