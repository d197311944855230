"""Glyph identities: what is drawn, what is kept, and that no two characters look the same."""

from pathlib import Path

from lib import data, glyphs

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont


@pytest.fixture(scope="module")
def both():
    return data.load_glyphs()


@pytest.fixture(scope="module")
def everything(both):
    """All images, and a number for each character across both sets."""
    shift = len(both.train.characters)
    return (
        np.concatenate([both.train.images, both.unseen.images])[..., 0],
        np.concatenate([both.train.labels, both.unseen.labels + shift]),
        np.concatenate([both.train.faces, both.unseen.faces]),
    )


def test_shapes_types_and_order(both):
    for part in (both.train, both.unseen):
        n = len(part.labels)
        assert part.images.shape == (n, 28, 28, 1)
        assert part.images.dtype == np.float32
        assert part.images.min() == 0
        assert 0.99 < part.images.max() <= 1
        assert part.labels.dtype == part.faces.dtype == np.int32
        assert set(part.labels) == set(range(len(part.characters)))
        order = part.labels * len(glyphs.FACES) + part.faces
        assert (np.diff(order) > 0).all(), "by label, then face, each face once"
        assert part.x_train is part.images
        assert part.y_train is part.labels


def test_counts_are_those_of_the_card(both):
    """Another FreeType moves a handful of characters over a limit."""
    assert len(both.train.characters) == pytest.approx(1418, abs=15)
    assert len(both.unseen.characters) == pytest.approx(472, abs=5)
    assert len(both.train.labels) == pytest.approx(17574, abs=200)
    assert len(both.unseen.labels) == pytest.approx(5742, abs=80)
    per_character = np.bincount(both.train.labels)
    assert per_character.min() >= glyphs.MIN_IMAGES
    assert per_character.max() == len(glyphs.FACES)


def test_no_character_is_in_both_sets(both):
    train, unseen = set(both.train.characters), set(both.unseen.characters)
    assert len(train) == len(both.train.characters)
    assert len(unseen) == len(both.unseen.characters)
    assert not train & unseen
    assert len(train) / (len(train) + len(unseen)) == pytest.approx(0.75, abs=0.001)


def test_no_image_is_there_twice(everything):
    """Neither of two characters (homoglyphs) nor of one (a face that copies another)."""
    images, _, _ = everything
    assert len({image.tobytes() for image in images}) == len(images)


def test_no_two_characters_look_the_same_in_any_face(everything):
    """Every pair of each face, at full resolution."""
    images, labels, faces = everything
    for face in range(len(glyphs.FACES)):
        flat = images[faces == face].reshape(-1, 784)
        squares = (flat**2).sum(axis=1)
        apart = squares[:, None] + squares - 2 * flat @ flat.T
        np.fill_diagonal(apart, np.inf)
        assert apart.min() > 0.999 * glyphs.TWIN_DISTANCE**2
        assert len(set(labels[faces == face])) == len(flat)


def test_images_show_the_character_as_pillow_draws_it(both):
    """An independent way through FreeType: eight times as large, on the same baseline, averaged."""
    part, folder = both.unseen, Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    agreement = []
    for i in np.random.default_rng(0).choice(len(part.labels), 60, replace=False):
        path, character = f"{glyphs.FACES[part.faces[i]]}.ttf", part.characters[part.labels[i]]
        font = ImageFont.truetype(folder / path, 8 * glyphs.FONT_SIZE)
        sheet = Image.new("L", (8 * 50, 8 * 28))
        ImageDraw.Draw(sheet).text((80, 8 * glyphs.BASELINE), character, 255, font, anchor="ls")
        large = np.asarray(sheet) / 255
        places = [large[:, x : x + 224].reshape(28, 8, 28, 8) for x in range(0, 176, 2)]
        agreement.append(max(map(correlation, places, [part.images[i, ..., 0]] * len(places))))
    assert np.median(agreement) > 0.99
    # A few are moved to fit into the frame, and releases of FreeType draw a little differently.
    assert np.mean(np.array(agreement) > 0.95) > 0.8


def correlation(large, image):
    small = large.mean(axis=(1, 3))
    return np.corrcoef(small.ravel(), image.ravel())[0, 1] if small.any() else 0


def test_the_first_hundred(both):
    few = both.train.first(100)
    assert few.characters == both.train.characters[:100]
    assert set(few.labels) == set(range(100))
    n = len(few.labels)
    np.testing.assert_array_equal(few.images, both.train.images[:n])
    np.testing.assert_array_equal(few.faces, both.train.faces[:n])
    for count in (0, 1, len(both.train.characters) + 1):
        with pytest.raises(ValueError, match="use 2 to"):
            both.train.first(count)


def test_a_characters_place_does_not_depend_on_the_others():
    """So that a font or FreeType with one character more leaves the rest of the split alone."""
    ranks = [glyphs._rank(character) for character in "abc"]
    assert ranks == [glyphs._rank(character) for character in "abcd"][:3]
    assert len(set(map(glyphs._rank, map(chr, range(3000))))) == 3000


def test_printing_glyphs_says_what_they_are(both):
    assert repr(both).startswith("Glyphs in 16 faces, to train: 1,4")
    assert "never seen: 47" in repr(both)


# --- what is drawn, on pictures made by hand ------------------------------------------------------


def square(row, ink=255):
    image = np.zeros((28, 28), "uint8")
    image[row : row + 4, 10:14] = ink
    return image


def faces_of(*images):
    return dict(enumerate(images))


def test_look_alikes_by_hand(monkeypatch):
    monkeypatch.setattr(glyphs, "FACES", ("first", "second"))
    drawn = {
        1: faces_of(square(0), square(8)),
        2: faces_of(square(0, 250), square(16)),  # 16 pixels differ by 5: near-twins in face 0
        3: faces_of(square(8), square(22)),  # equal to 1 in another face
        4: faces_of(square(4), square(4)),
        5: faces_of(square(0, 200), square(0)),  # equal to 1, but 16 · (55/255)² is no near-twin
    }
    found = glyphs._look_alikes(drawn)
    assert found == {1: {2, 3, 5}, 2: {1}, 3: {1}, 4: set(), 5: {1}}


def test_of_look_alikes_the_first_stays_and_repeats_of_one_character_go(monkeypatch):
    monkeypatch.setattr(glyphs, "FACES", ("first", "second", "third"))
    monkeypatch.setattr(glyphs, "MIN_IMAGES", 2)
    drawn = {
        65: faces_of(square(0), square(8), square(0)),  # the third face copies the first
        66: faces_of(square(0), square(16), square(20)),  # looks like 65
        67: faces_of(square(16), square(12), square(22)),  # looks like 66, which has gone
        68: faces_of(square(3), square(3), square(3)),  # one image only
    }
    monkeypatch.setattr(glyphs, "_draw_all", lambda: drawn)
    glyphs._all_glyphs.cache_clear()
    images, labels, faces, characters = glyphs._all_glyphs()
    glyphs._all_glyphs.cache_clear()
    assert characters == ("A", "C")
    np.testing.assert_array_equal(labels, [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(faces, [0, 1, 0, 1, 2])
    np.testing.assert_array_equal(images[0], square(0))


def test_one_character_is_drawn_as_in_the_set(both):
    part = both.unseen
    for row in (0, 1000, 5000):
        character = part.characters[part.labels[row]]
        assert part.faces[row] in glyphs.faces_with(character)
        np.testing.assert_array_equal(glyphs.draw(character, part.faces[row]), part.images[row])
    assert glyphs.faces_with("₽") == [0, 1, 2, 3, 8, 9, 10, 11]
    with pytest.raises(ValueError, match="STIXGeneral has no '₽' that fits"):
        glyphs.draw("₽", 12)
    with pytest.raises(ValueError, match="DejaVuSans has no ' ' that fits"):
        glyphs.draw(" ")
