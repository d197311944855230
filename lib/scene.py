"""What figures show, in a notebook and on the website alike: presets, sliders, classes in a plane.

Numbers only, so that who reads them need not import Keras.
"""

import numpy as np

# --- margins --------------------------------------------------------------------------------------

# (m1, m2, m3, s): the margins of the papers, and those of the course's two dimensions.
PRESETS = {
    "NormFace": (1.0, 0.0, 0.0, 16),
    "SphereFace, m 2": (2.0, 0.0, 0.0, 16),
    "SphereFace, m 4": (4.0, 0.0, 0.0, 16),
    "CosFace, m 0.1": (1.0, 0.0, 0.1, 16),
    "CosFace, m 0.35": (1.0, 0.0, 0.35, 64),
    "ArcFace, m 0.2": (1.0, 0.2, 0.0, 16),
    "ArcFace, m 0.5": (1.0, 0.5, 0.0, 64),
    "combined (1, 0.3, 0.2)": (1.0, 0.3, 0.2, 64),
    "combined (0.9, 0.4, 0.15)": (0.9, 0.4, 0.15, 64),
}
COMPARED = ("NormFace", "SphereFace, m 2", "CosFace, m 0.35", "ArcFace, m 0.5")
COMPARED += ("combined (1, 0.3, 0.2)",)

MARGINS = {  # of `lib.losses.MarginLoss`: unit, lowest, highest, step
    "m1": ("factor, no unit", 1.0, 4.0, 0.05),
    "m2": ("radians", 0.0, 1.57, 0.01),
    "m3": ("cosine, no unit", 0.0, 1.0, 0.01),
}
# Each loss: which margin of `MarginLoss` stands on a slider, how it is called, where it begins.
FIELD_MARGINS = {
    "NormFace": {},
    "SphereFace": {"m1": ("m", 2.0)},
    "CosFace": {"m3": ("m", 0.35)},
    "ArcFace": {"m2": ("m", 0.5)},
    "combined": {"m1": ("m1", 1.0), "m2": ("m2", 0.3), "m3": ("m3", 0.2)},
}

# --- the plane of the fields ----------------------------------------------------------------------

# Five class weights of length one on the circle; the target, class 0, is at the top.
DIRECTIONS = np.radians(90 + 72 * np.arange(5))
WEIGHTS = np.stack([np.cos(DIRECTIONS), np.sin(DIRECTIONS)])
# Softmax has lengths and biases besides, of which each moves a border.
LENGTHS = np.array([1.0, 1.3, 0.8, 1.0, 0.7])
BIASES = np.array([0.0, 0.6, 0.0, -0.5, -0.8])
CENTRE, CENTRE_WEIGHT = np.array([0.0, 6.0]), 0.1  # of class 0; the λ of center loss
SCALE = 8.0  # as long as embeddings are where the plane ends: there s and |x| mean the same

REACH = 9.8  # how far the plane is drawn
RINGS = {3.4: 15, 5.1: 20, 6.8: 30, 8.5: 40}  # radius → how many embeddings lie there
FIELD_POINTS = np.array(
    [
        (radius * np.cos(angle), radius * np.sin(angle))
        for radius, count in RINGS.items()
        for angle in np.radians(90 + 360 * np.arange(count) / count)
    ]
)
ARROW = 0.75  # how long a push of 1 is drawn
