"""The door: verdicts of a case made by hand, counts against the measures, the ends of its sliders.

That it is live, still, quick to move and leaves nothing behind: test_interactive.py.
"""

from lib import faces, interactive, recognition, verification
from lib.interactive import door

import matplotlib.pyplot as plt
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def nothing_is_left_open():
    yield
    plt.close("all")
    interactive.panel._open_panels.clear()


def by_hand(**more):
    """Enrolled at 0°, 90° and 180°; each, and three strangers, come once."""
    people = faces.people("test", count=6, images=2, size=8)
    degrees = np.radians([0, 10, 90, 130, 180, 20, 45, 5, 45, 300, 45, 0])
    lengths = np.array([1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 0.5])
    embeddings = lengths[:, None] * np.stack([np.cos(degrees), np.sin(degrees)], axis=1)
    return interactive.Door(embeddings, people, **({"threshold": 0.8, "size": 3} | more))


def crowd(people=60, images=4, noise=1.0, seed=0):
    drawn = faces.people("test", count=people, images=images, size=8)
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(people, 8))[drawn.labels] + noise * rng.normal(
        size=(people * images, 8)
    )
    return embeddings * rng.uniform(0.5, 4, (len(embeddings), 1)), drawn


def counted(panel):
    """(strangers let in, of so many, enrolled not recognised, of so many), as it is written."""
    texts = [panel.counts[rate].get_text() for rate in ("FPIR", "FNIR")]
    return [int(n.replace(",", "")) for text in texts for n in text.split(": ")[1].split(" of ")]


def test_each_visitor_gets_the_verdict_that_the_angles_say():
    panel = by_hand()
    expected = ["let in ✓", "kept out ✗", "let in ✗", "let in ✗", "kept out ✓", "let in ✗"]
    assert panel.verdicts() == expected
    assert [place.verdict.get_text() for place in panel.places] == expected
    assert counted(panel) == [2, 3, 2, 3]
    matches = [place.match.get_text() for place in panel.places]
    assert matches == [
        "no. 0: 0.98", "no. 1: 0.76", "no. 0: 0.93", "no. 0: 0.99", "no. 0: 0.50", "no. 0: 1.00"
    ]  # fmt: skip
    numbers = [place.number.get_text() for place in panel.places]
    assert numbers == ["no. 0", "no. 1", "no. 2", "", "", ""]
    assert ", ".join(expected) in panel.alt
    assert "strangers let in: 2 of 3" in panel.alt

    panel.controls["length"].value = 0.8
    assert panel.verdicts()[5] == "too short"
    assert counted(panel) == [1, 3, 2, 3]
    panel.controls["threshold"].value = 0.75
    assert panel.verdicts()[1] == "let in ✓"
    assert counted(panel) == [1, 3, 1, 3]


def test_who_is_as_close_to_two_is_nobody():
    people = faces.people("test", count=6, images=2, size=8)
    embeddings = np.tile([[1.0, 0.1]], (12, 1))
    embeddings[4] = 0, 1
    panel = interactive.Door(embeddings, people, size=3)
    assert panel.verdicts() == ["kept out ✗"] * 3 + ["kept out ✓"] * 3
    assert (panel.curves["FPIR"].get_ydata() == 0).all()
    assert (panel.curves["FNIR"].get_ydata() == 1).all()


def test_no_verdict_is_told_by_colour_alone():
    assert len(set(door.LOOKS)) == 5
    for words, (_, width, dash) in door.LOOKS.items():
        assert ("✗" in words) == (width == 5)
        assert (dash != "-") == (words == "too short")
    panel = by_hand(first=3)
    texts = panel.fig.findobj(plt.Text)
    assert min(text.get_fontsize() for text in texts if text.get_text()) >= 9


@pytest.mark.parametrize("pictures", [1, 2])
def test_the_counts_are_those_of_search_scores_and_of_decide(pictures):
    embeddings, people = crowd()
    panel = interactive.Door(embeddings, people, size=12, pictures=pictures)
    of_person = np.arange(240) % 4
    assert panel.controls["size"].options == (10, 12, 15, 20, 30)
    for size in panel.controls["size"].options:
        enrolling = (of_person < pictures) & (people.labels < size)
        visits = (of_person >= pictures) & ((people.labels < size) | (people.labels >= 30))
        who, visitors = people.labels[visits], embeddings[visits]
        gallery = recognition.templates(embeddings[enrolling], people.labels[enrolling])
        scores = verification.search_scores(*gallery[::-1], visitors, who)
        found = recognition.closest(*gallery, visitors)
        panel.controls["size"].value = size
        for threshold in (0.3, 0.62, 0.75, 0.9):
            panel.controls["threshold"].value = threshold
            panel.controls["length"].value = 0
            strangers, of, missed, known = counted(panel)
            assert (of, known) == (len(scores.impostor), len(scores.genuine))
            assert strangers == round(of * scores.far(threshold))
            assert missed == round(known * (1 - scores.tar(threshold)))
            np.testing.assert_allclose(
                panel.curves["FPIR"].get_ydata(), scores.far(panel.grid), atol=1e-12
            )
            np.testing.assert_allclose(
                panel.curves["FNIR"].get_ydata(), 1 - scores.tar(panel.grid), atol=1e-12
            )

            panel.controls["length"].value = 5
            answers = recognition.decide(found, threshold, 5)
            wrong = [
                a is not None if w >= 30 else a != w for a, w in zip(answers, who, strict=True)
            ]
            wrong = np.array(wrong)
            assert counted(panel)[::2] == [wrong[who >= 30].sum(), wrong[who < 30].sum()]
            for rate, whose in (("FPIR", who >= 30), ("FNIR", who < 30)):
                (x,), (y,) = panel.points[rate].get_data()
                assert (x, y) == (threshold, wrong[whose].mean())
                curve = panel.curves[rate].get_ydata()
                steps = np.searchsorted(panel.grid, threshold)
                between = sorted(curve[max(steps - 1, 0) : steps + 1])
                assert between[0] - 1e-9 <= y <= between[-1] + 1e-9


def test_at_their_ends_the_sliders_let_in_everybody_or_nobody():
    embeddings, people = crowd()
    panel = interactive.Door(embeddings, people, size=30)
    threshold, length = panel.controls["threshold"], panel.controls["length"]
    threshold.value = threshold.min
    assert counted(panel)[:2] == [90, 90]
    assert "kept out" not in " ".join(panel.verdicts())
    threshold.value = threshold.max
    assert counted(panel) == [0, 90, 90, 90]
    assert panel.verdicts() == ["kept out ✗"] * 3 + ["kept out ✓"] * 3
    threshold.value = threshold.min
    length.value = length.max  # rounded up from the longest
    assert counted(panel) == [0, 90, 90, 90]
    assert panel.verdicts() == ["too short"] * 6
    for size in (panel.controls["size"].options[0], 30):
        panel.controls["size"].value = size
        assert counted(panel)[3] == 3 * size


def test_everybody_comes_and_stays_while_the_gallery_grows():
    embeddings, people = crowd()
    panel = interactive.Door(embeddings, people, size=30)
    come = set()
    for _ in range(30):
        at_the_door = panel.gallery.at_the_door(panel.group)
        come |= {int(panel.gallery.rows[visit]) for visit in at_the_door}
        panel.next_visitors()
    assert come == set(np.flatnonzero(np.arange(240) % 4 > 0))
    assert panel.gallery.at_the_door(30) == panel.gallery.at_the_door(0)

    panel.group = 2
    for size in (10, 15, 30):
        panel.controls["size"].value = size
        rows = panel.gallery.rows[panel.gallery.at_the_door(2)]
        assert people.labels[rows].tolist() == [6, 7, 8, 36, 37, 38]


def test_the_faces_are_those_of_the_visitor_and_of_whom_he_is_taken_for():
    panel = by_hand()
    people = panel.people
    for place, row, closest in ((2, 5, 0), (3, 7, 0), (1, 3, 1)):
        for shown, picture in (
            (panel.places[place].face, row),
            (panel.places[place].other, 2 * closest),
        ):
            drawn = faces.portraits(
                people.traits[people.labels[picture]], people.nuisances[picture : picture + 1]
            )
            assert np.abs(shown.get_array() - 255 * drawn[0]).max() <= 0.5
    alphas = [place.other.get_alpha() for place in panel.places]
    assert alphas == [1, 0.3, 1, 1, 0.3, 1]


def test_a_move_looks_up_what_was_searched_before(monkeypatch):
    embeddings, people = crowd()
    panel = interactive.Door(embeddings, people, size=30)
    panel.controls["size"].value = 10
    monkeypatch.setattr(recognition, "closest", None)
    monkeypatch.setattr(faces, "portraits", None)
    for control, values in (("threshold", (0.2, 0.9)), ("size", (30, 10)), ("length", (1, 0))):
        for value in values:
            panel.controls[control].value = value


def test_what_cannot_be_shown_is_refused():
    embeddings, people = crowd(people=12)
    for wrong, message in (
        ({"embeddings": embeddings[1:]}, r"embeddings: expected shape \(48, dimensions\)"),
        ({"embeddings": 0 * embeddings}, "are zero"),
        ({"people": people.labels}, "lib.faces.people draws them"),
        ({"people": people.only([1, 2, 5]), "embeddings": embeddings[:12]}, "draw 6 or more"),
        ({"size": 7}, "size: expected a whole number of at least 3 and at most 6"),
        ({"size": 2}, "size: expected"),
        ({"pictures": 4}, "no image is left for a visit after the first 4"),
        ({"threshold": 80}, "threshold: expected a number from -1 to 1"),
        ({"first": -1}, "first: expected a whole number"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            interactive.Door(**({"embeddings": embeddings, "people": people, "size": 6} | wrong))
