"""People who come to a door behind which some are enrolled: who is let in, and who is kept out."""

from dataclasses import dataclass

import ipywidgets as widgets
import numpy as np
from matplotlib.patches import Rectangle

from .. import faces, inputs, plots, recognition, verification
from ..plots import COLORS, EDGES, INK, OTHER, OWN
from .panel import Panel, slider, stops

SIDE = 3  # so many of the enrolled, and so many strangers, are at the door together
SIZES = (10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 2000, 5000, 10_000)
PIXELS = 64  # of a face, across and down

# What happens to a visitor: the words for it, and the look of the frame: colour, width, dashes. A
# mistake has a cross and a thick frame as well as its colour.
GOOD, BAD, FAINT = EDGES[0], COLORS[2], "#777777"
LET_IN, LET_IN_WRONGLY = "let in ✓", "let in ✗"
KEPT_OUT, KEPT_OUT_WRONGLY = "kept out ✓", "kept out ✗"
TOO_SHORT = "too short"
VERDICTS = {  # (whether somebody's name is given, whether that is wrong)
    (True, False): LET_IN,
    (True, True): LET_IN_WRONGLY,
    (False, False): KEPT_OUT,
    (False, True): KEPT_OUT_WRONGLY,
}
LOOKS = {
    LET_IN: (GOOD, 3, "-"),
    LET_IN_WRONGLY: (BAD, 5, "-"),
    KEPT_OUT: (FAINT, 1.5, "-"),
    KEPT_OUT_WRONGLY: (BAD, 5, "-"),
    TOO_SHORT: (INK, 3, (0, (2, 1.5))),
}


class Door(Panel):
    """Visitors at a door, what a threshold makes of them, and how many it gets wrong in all.

    The first `pictures` images of a person are for enrolling, the others are visits. The last half
    of the people are never enrolled: they are the strangers. The smaller galleries are the first
    people of the largest, and only who is enrolled in a gallery comes as one of the enrolled.

    Args:
        embeddings: (N, D), of `people.images`.
        people: `lib.faces.Faces`, more than `pictures` images of each.
        threshold: of the cosine, where it stands at first.
        size: how many are enrolled at first; the slider goes to half of the people.
        pictures: how many images of a person are enrolled, see `recognition.templates`.
        first: the number of the visitors who are at the door at first; others have others.
        name: of the figure, unique in the notebook.

    Raises:
        ValueError: if an argument is not as above, or there are too few people or images.
    """

    def __init__(
        self, embeddings, people, threshold=0.5, size=100, pictures=1, first=0, name="door"
    ):
        self.people = inputs.instance(people, faces.Faces, "people", "lib.faces.people draws them")
        most = len(people.traits) // 2
        if most < SIDE:
            raise ValueError(
                f"people: {len(people.traits)}, half of them strangers; draw {2 * SIDE} or more."
            )
        size = inputs.whole_number(size, "size", SIDE, most)
        self.group = inputs.whole_number(first, "first", 0)
        threshold = inputs.number_from(threshold, "threshold", -1, 1)
        sizes = sorted({size, most, *(few for few in SIZES if few < most)})
        self.galleries = _galleries(embeddings, people.labels, pictures, sizes)
        scores = np.concatenate([g.matches.scores[:, 0] for g in self.galleries.values()])
        self.lowest = min(0.0, np.floor(10 * scores.min()) / 10)
        longest = max(gallery.matches.lengths.max() for gallery in self.galleries.values())
        step = float(10 ** np.floor(np.log10(longest)) / 10)
        longest = step * np.ceil(longest / step)
        controls = {
            "threshold": slider("threshold", "cosine", self.lowest, 1.0, threshold, 0.01),
            "size": stops("enrolled", "people", sizes, size),
            "length": slider("smallest length", "embedding", 0.0, longest, 0.0, step),
        }
        self.pictures_of = {}  # those that were drawn already
        alt = "Visitors at a door, and the error rates over all visitors against the threshold."
        super().__init__(
            name, alt, controls, columns=2, width=12, height=4.5, width_ratios=(2.45, 1)
        )
        self._draw_visitors(self.axes[0])
        self._draw_rates(self.axes[1])
        button = []
        if plots.is_live(self.fig):
            button = [widgets.Button(description="next visitors", icon="arrow-right")]
            button[0].on_click(lambda _: self.next_visitors())
        self.ready(*button)

    def _draw_visitors(self, ax):
        """Empty places: above who has come, below the closest of the enrolled."""
        beside, between = 1.14, 0.22  # from face to face, and from the enrolled to the strangers
        lefts = [k * beside + between * (k >= SIDE) for k in range(2 * SIDE)]
        self.places = [_Place(ax, left) for left in lefts]
        for text, left in (("■ enrolled", lefts[1]), ("● strangers", lefts[SIDE + 1])):
            ax.text(left + 0.5, -0.3, text, ha="center", va="bottom", fontsize=14, weight="bold")
        for text, y in (("at the door", 0.5), ("closest of\nthe enrolled", 1.9)):
            ax.text(-0.1, y, text, ha="right", va="center", rotation=90, fontsize=11)
        ax.set(xlim=(-0.5, lefts[-1] + 1.03), ylim=(2.6, -0.6))
        ax.set_title("100 enrolled, threshold 0.00")
        ax.set_axis_off()

    def _draw_rates(self, ax):
        self.grid = np.linspace(self.lowest, 1, 301)
        looks = {"FPIR": (OTHER, "-", "o", EDGES[6]), "FNIR": (OWN, "--", "s", EDGES[0])}
        self.curves, self.points, self.counts = {}, {}, {}
        for line, (rate, (color, dash, marker, dark)) in enumerate(looks.items()):
            (self.curves[rate],) = ax.plot(self.grid, 0 * self.grid, dash, color=color, lw=2.5)
            (self.points[rate],) = ax.plot(
                [0], [0], marker, color=dark, ms=11 - 3 * line, zorder=3 + line
            )
            place = (-0.22, 1.13 - 0.09 * line)
            self.counts[rate] = ax.text(*place, "strangers", transform=ax.transAxes, color=dark,
                                        weight="bold", fontsize=11)  # fmt: skip
        for rate, x, side in (("FPIR", 0.03, "left"), ("FNIR", 1, "right")):
            ax.text(x, 0.93, rate, transform=ax.transAxes, color=looks[rate][3], ha=side,
                    weight="bold", fontsize=12)  # fmt: skip
        self.line = ax.axvline(0, color=INK, lw=1, ls=":")
        ax.set(xlim=(self.lowest, 1), ylim=(0, 1.12), yticks=(0, 0.25, 0.5, 0.75, 1))
        ax.set(xlabel="threshold on the cosine", ylabel="share of their visits")
        ax.grid(color="0.92")

    @property
    def gallery(self):
        return self.galleries[self.value("size")]

    def next_visitors(self):
        """Others come to the door; after the last ones the first again."""
        self.group += 1
        self._on_change(None)

    def verdicts(self):
        """The words for what happens to each of the visitors at the door."""
        return [self._verdict(visit) for visit in self.gallery.at_the_door(self.group)]

    def _verdict(self, visit):
        if self.gallery.matches.lengths[visit] < self.value("length"):
            return TOO_SHORT
        return VERDICTS[self.answers[visit] is not None, bool(self.wrong[visit])]

    def update(self):
        gallery, threshold, length = self.gallery, self.value("threshold"), self.value("length")
        self.answers = recognition.decide(gallery.matches, threshold, length)
        self.wrong = gallery.wrong(self.answers)
        self._show_visitors()
        self._show_rates(threshold, length)
        least = f", length at least {length:.3g}" if length else ""
        self.axes[0].title.set_text(
            f"{self.value('size'):,} enrolled, threshold {threshold:.2f}{least}"
        )
        self.alt = (
            f"A door behind which {self.value('size'):,} people are enrolled, at threshold "
            f"{threshold:.2f}{least}. Of three enrolled visitors and three strangers each has a "
            f"face, the closest of the enrolled below it, and a verdict: "
            f"{', '.join(self.verdicts())}. Beside them both error rates against the threshold, "
            "FPIR falling and FNIR rising: "
            f"{', '.join(text.get_text() for text in self.counts.values())}."
        )

    def _show_visitors(self):
        gallery = self.gallery
        visits, verdicts = gallery.at_the_door(self.group), self.verdicts()
        for place, visit, verdict in zip(self.places, visits, verdicts, strict=True):
            closest = gallery.matches.names[visit, 0]
            # rounded down, so that what reads as much as the threshold reaches it
            score = np.floor(100 * gallery.matches.scores[visit, 0] + 1e-9) / 100
            place.show(
                self._picture(gallery.rows[visit]),
                self._picture(np.searchsorted(self.people.labels, closest)),
                verdict,
                f"no. {gallery.who[visit]}" if gallery.known[visit] else "",
                f"no. {closest}: {score:.2f}",
            )

    def _picture(self, row):
        """The picture in a row of `people`, large and in colour; drawn when it is first needed."""
        if row not in self.pictures_of:
            traits = self.people.traits[self.people.labels[row]]
            drawn = faces.portraits(traits, self.people.nuisances[row : row + 1], size=PIXELS)
            self.pictures_of[row] = np.round(255 * drawn[0]).astype("uint8")
        return self.pictures_of[row]

    def _show_rates(self, threshold, length):
        scores = self.gallery.scores(length)
        self.line.set_xdata([threshold, threshold])
        self.curves["FPIR"].set_ydata(scores.far(self.grid))
        self.curves["FNIR"].set_ydata(1 - scores.tar(self.grid))
        strangers = ~self.gallery.known
        for rate, whose, words, mark in (
            ("FPIR", strangers, "strangers let in", "●"),
            ("FNIR", ~strangers, "enrolled not recognised", "■"),
        ):
            count, of = np.count_nonzero(self.wrong & whose), np.count_nonzero(whose)
            self.points[rate].set_data([threshold], [count / of])
            self.counts[rate].set_text(f"{mark} {words}: {count:,} of {of:,}")


class _Place:
    """Where a visitor stands: the face, the verdict, and the closest of the enrolled faces."""

    def __init__(self, ax, left):
        empty = np.full((PIXELS, PIXELS, 3), 255, "uint8")
        inner = left + 0.1, left + 0.9
        self.face = ax.imshow(empty, extent=(left, left + 1, 1, 0))
        self.other = ax.imshow(empty, extent=(*inner, 2.3, 1.5))
        self.frame = ax.add_patch(Rectangle((left, 0), 1, 1, fill=False))
        self.other_frame = ax.add_patch(Rectangle((inner[0], 1.5), 0.8, 0.8, fill=False))
        middle = {"x": left + 0.5, "s": "", "ha": "center"}
        self.number = ax.text(y=-0.05, va="bottom", fontsize=11, **middle)
        self.verdict = ax.text(y=1.25, va="center", fontsize=12, weight="bold", **middle)
        self.match = ax.text(y=2.37, va="top", fontsize=11, **middle)

    def show(self, face, other, verdict, number, match):
        color, width, dash = LOOKS[verdict]
        inside = verdict in (LET_IN, LET_IN_WRONGLY)
        self.face.set_data(face)
        self.other.set(data=other, alpha=1 if inside else 0.3)
        self.frame.set(edgecolor=color, linewidth=width, linestyle=dash)
        self.other_frame.set(edgecolor=color, linewidth=width if inside else 0)
        self.verdict.set(text=verdict, color=INK if color == FAINT else color)
        self.number.set_text(number)
        self.match.set(text=match, color=INK if inside else FAINT)


@dataclass(frozen=True, eq=False)
class _Gallery:
    """A gallery, all visits to it, and what the search finds for each.

    rows: (V,) of `people`, known visitors first. who: (V,) their labels. known: (V,) bool.
    matches: `recognition.Matches`.
    """

    rows: np.ndarray
    who: np.ndarray
    known: np.ndarray
    matches: recognition.Matches

    def at_the_door(self, group):
        """Places in `rows` of the visitors who come together: known ones, then strangers."""
        count, known = len(self.rows), np.count_nonzero(self.known)
        turn = SIDE * group + np.arange(SIDE)
        return [*turn % known, *known + turn % (count - known)]

    def wrong(self, answers):
        """(V,) bool: a known visitor not given the own name, a stranger given any."""
        named = np.array([answer is not None for answer in answers])
        right = np.array([answer == who for answer, who in zip(answers, self.who, strict=True)])
        return np.where(self.known, ~right, named)

    def scores(self, min_length):
        """`PairScores` for both rates at all thresholds, as `verification.search_scores` has it."""
        found = self.matches
        may_count = ~found.tied & (found.lengths >= min_length)
        may_count &= ~self.known | (found.names[:, 0] == self.who)
        return verification.split_scores(np.where(may_count, found.scores[:, 0], -2.0), self.known)


def _galleries(embeddings, labels, pictures, sizes):
    """A `_Gallery` for each size."""
    embeddings = inputs.array(embeddings, "embeddings", (len(labels), "dimensions"))
    pictures = inputs.whole_number(pictures, "pictures")
    place = np.arange(len(labels)) - np.searchsorted(labels, labels)  # which picture of the person
    if np.bincount(labels).min() <= pictures:
        raise ValueError(
            f"people: of some no image is left for a visit after the first {pictures}, "
            f"pictures={pictures}; draw more of each."
        )
    names, gallery = recognition.templates(embeddings[place < pictures], labels[place < pictures])
    visits = np.lexsort((labels, place))  # everybody once before anybody comes again
    visits = visits[place[visits] >= pictures]
    strangers = visits[labels[visits] >= sizes[-1]]
    found = {}
    for size in sizes:
        rows = np.concatenate([visits[labels[visits] < size], strangers])
        matches = recognition.closest(names[:size], gallery[:size], embeddings[rows])
        found[size] = _Gallery(rows, labels[rows], labels[rows] < size, matches)
    return found
