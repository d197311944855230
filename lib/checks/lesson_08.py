"""Self-checks of lesson 08. A `Hint` answers one wrong answer that people really give."""

import math

from lib.course import Hint, self_check

import numpy as np


@self_check("8.1 count the pairs")
def pairs_and_far(genuine, impostor, lowest_far):
    if genuine in (50 * 8 * 7, 50 * 64):
        raise Hint("each pair counts once, and no image is compared with itself: 8 · 7 / 2 each.")
    if genuine == 50 * 8:
        raise Hint("that is the number of images: how many pairs can be made of 8 images?")
    if genuine != 1400:
        raise Hint("one identity has 8 · 7 / 2 genuine pairs; there are 50 identities.")
    if impostor == 400 * 399 // 2:
        raise Hint("those are all pairs of 400 images: take the genuine ones away.")
    if impostor in (50 * 49 // 2, 50 * 49):
        raise Hint("those are pairs of identities; each of them has 8 · 8 pairs of images.")
    if impostor == 50 * 49 * 64:
        raise Hint("each pair of identities counts once, not twice.")
    if impostor != 78_400:
        raise Hint("400 images make 400 · 399 / 2 pairs; what is not genuine is an impostor pair.")
    if math.isclose(lowest_far, 1 / 78_400, rel_tol=0.02):
        raise Hint("a single accepted pair is too few: lib wants ten.")
    if math.isclose(lowest_far, 10 / 79_800, rel_tol=0.005):
        raise Hint("a FAR is a share of the impostor pairs, not of all pairs.")
    if math.isclose(lowest_far, 10 / 1400, rel_tol=0.02):
        raise Hint("a FAR is a share of the impostor pairs, not of the genuine ones.")
    if not math.isclose(lowest_far, 10 / 78_400, rel_tol=0.005):
        raise Hint("ten of the impostor pairs must be accepted: 10 / impostor pairs.")
    return "right: 50 people and 400 photographs reach a FAR of 0.00013, no lower."


@self_check("8.2 TAR at a FAR")
def tar_at_far(function):
    genuine = np.array([0.9, 0.3, 0.7, 0.5])
    impostor = np.array([0.6, 0.1, 0.4, 0.2, 0.0])
    first = _number(function(genuine, impostor, 0.2))
    if math.isclose(first, 0.2):
        raise Hint("that is the FAR itself: return the share of *genuine* pairs accepted.")
    if math.isclose(first, 3):
        raise Hint("that counts the genuine pairs accepted: return their share.")
    if not math.isclose(first, 0.75):
        raise Hint(
            f"genuine {genuine.tolist()}, impostor {impostor.tolist()}, FAR 0.2: one impostor may "
            f"pass, so the threshold can go down to 0.5, and TAR is 0.75, not {first:.3g}."
        )
    if not math.isclose(_number(function(genuine, impostor, 0.0)), 0.5):
        raise Hint("at FAR 0 no impostor may pass: all genuine scores above 0.6 still do, TAR 0.5.")
    if not math.isclose(_number(function(genuine, impostor, 1.0)), 1.0):
        raise Hint("at FAR 1 everybody may pass: TAR 1.")
    tied = _number(function(np.array([0.8, 0.5, 0.5]), np.array([0.5, 0.5, 0.5, 0.1]), 0.5))
    if not math.isclose(tied, 1 / 3):
        raise Hint(
            "three impostors tie at 0.5 and two of four may pass: none of the three may, and no "
            f"genuine pair at 0.5 either. TAR is 1/3, yours is {tied:.3g}."
        )
    return "right, ties included."


@self_check("8.3 find the mistakes")
def rank_1(function):
    angle = np.radians([0, 20, 50, 60, 34])
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    labels = np.array([4, 4, 2, 2, 4])  # 34° is nearer to the gallery image of 2, at 50°
    lengths = np.array([[1.0], [3.0], [1.0], [2.0], [0.5]])
    found = _number(function(unit * lengths, labels))
    if math.isclose(found, 1.0):
        raise Hint("every image found itself or a neighbour: compare with the enrolled ones only.")
    if math.isclose(found, 4 / 5):
        raise Hint("the gallery's own images are still counted as probes: only the others count.")
    if not math.isclose(found, 2 / 3):
        raise Hint(
            f"two of the three probes find their identity; yours says {found:.3g}. Is the gallery "
            "only the first image of each identity?"
        )
    long_gallery = np.array([[1.0], [1.0], [9.0], [1.0], [1.0]])
    if not math.isclose(_number(function(unit * long_gallery, labels)), 2 / 3):
        raise Hint("a long embedding in the gallery wins: cosines need both lengths divided away.")
    return "right: other images, one of each enrolled, and cosines."


@self_check("8.4 a stranger at the door")
def stranger_at_the_door(given_a_name, far_needed):
    if math.isclose(given_a_name, 10, rel_tol=0.01):
        raise Hint("that is how many names to expect: how likely is at least one of them?")
    if math.isclose(given_a_name, 0.999**10_000, rel_tol=0.01):
        raise Hint("that is how likely nobody's name is given: take it from 1.")
    if math.isclose(given_a_name, 0.001):
        raise Hint("that is one comparison; the stranger is compared with all 10,000.")
    if not math.isclose(given_a_name, 1 - 0.999**10_000, abs_tol=2e-5):
        raise Hint("each of 10,000 comparisons goes well with 0.999; all of them with its power.")
    if math.isclose(far_needed, 0.01):
        raise Hint("that is the rate for a visit; one comparison in 10,000 has to be far rarer.")
    if math.isclose(far_needed, 0.99 ** (1 / 10_000), abs_tol=1e-9):
        raise Hint("that is how likely one comparison goes well: take it from 1.")
    if not math.isclose(far_needed, 1 - 0.99 ** (1 / 10_000), rel_tol=0.01):
        raise Hint("solve 1 - (1 - FAR) ** 10_000 = 0.01 for FAR; about 0.01 / 10,000.")
    return (
        "right: one in a million. The lesson measured about 0.96, not 0.99995: comparisons of one "
        "stranger are not independent, and some people look like nobody."
    )


def _number(value):
    if np.ndim(value) != 0:
        raise Hint(f"the result has shape {np.shape(value)}, expected one number.")
    return float(value)
