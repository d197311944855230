"""The colours of the course's pictures: one for each class, one and a dash for each loss."""

from matplotlib.colors import to_rgb

# Ten colours that stay apart for readers with colour-vision deficiencies (M. A. Petroff,
# arXiv:2107.02270, table 1). The digit itself, as the marker, is always there as a second cue.
COLORS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
# The same, darkened: outlines that keep the pale ones readable on white.
EDGES = tuple(tuple(0.55 * part for part in to_rgb(color)) for color in COLORS)
INK = "#222222"
OWN, OTHER = "#3f90da", "#e76300"

LOSS_COLORS = {
    "softmax": COLORS[0],
    "center loss": EDGES[9],
    "modified softmax": EDGES[7],
    "NormFace": COLORS[8],
    "SphereFace": COLORS[2],
    "CosFace": COLORS[4],
    "ArcFace": COLORS[6],
    "combined": COLORS[5],
}
# Each another succession of dots, short strokes and long ones, so that they can be told apart in
# black and white; gaps are wide enough for a line of two points in a small picture.
LOSS_DASHES = {
    "softmax": ":",
    "center loss": (0, (1, 1, 1, 4)),
    "modified softmax": (0, (14, 3)),
    "NormFace": "-",
    "SphereFace": (0, (2.5, 1, 2.5, 1, 2.5, 4)),
    "CosFace": (0, (5, 2)),
    "ArcFace": (0, (7, 2.5, 1, 2.5)),
    "combined": (0, (10, 1.2, 1, 1.2, 1, 1.2)),
}

# Those of lesson 10, which stand beside ArcFace and CosFace only.
LATER_COLORS = {"CurricularFace": EDGES[3], "MagFace": COLORS[2], "AdaFace": COLORS[0]}


def loss_in(name):
    """The loss that a text begins with, such as "ArcFace, m 0.5"; None if it begins with none."""
    words = str(name).replace(",", " ").split()
    for count in (2, 1):
        if " ".join(words[:count]) in LOSS_COLORS:
            return " ".join(words[:count])
    return None
