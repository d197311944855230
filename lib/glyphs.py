"""Glyph identities: thousands of characters in the fonts that Matplotlib ships, drawn on the spot.

    glyphs = load_glyphs()
    print(glyphs)

A character is an *identity*, a font face is a *pose*: an honest stand-in for faces of people, with
no download. Three quarters of the characters are there to train on; the others are never seen in
training, and are what verification is measured on. What is kept and why: data/README.md.
"""

import dataclasses
import functools
import hashlib
import math
import unicodedata
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.ft2font import FT2Font, LoadFlags

FACES = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
)
SIZE = 28  # pixels, height and width
FONT_SIZE = 20  # pixels; nearly everything then fits
BASELINE = 21  # row

MIN_FACES = 10  # that have the character
MIN_IMAGES = 6  # of it that differ: box drawings look the same in every face
TWIN_DISTANCE = 0.6  # of two images in [0, 1]; below it two characters are one to the eye
SPLIT_SEED = 0


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class GlyphSet:
    """Images of some characters, one for each face that draws it differently.

    images: (n, 28, 28, 1) float32, 0 background to 1 ink, ordered by label, then face.
    labels: (n,) int32 from 0 to the number of characters - 1.
    faces: (n,) int32, which of `FACES` drew the image.
    characters: the character of each label.
    """

    images: np.ndarray
    labels: np.ndarray
    faces: np.ndarray
    characters: tuple

    # the names by which `lib.training` finds what it trains on
    x_train = property(lambda self: self.images)
    y_train = property(lambda self: self.labels)

    def first(self, count):
        """The same set with its first `count` characters only; their order is random but fixed."""
        if not 2 <= count <= len(self.characters):
            raise ValueError(
                f"count is {count}; there are {len(self.characters)} characters, so use 2 to "
                f"{len(self.characters)}."
            )
        kept = self.labels < count
        return GlyphSet(
            self.images[kept], self.labels[kept], self.faces[kept], self.characters[:count]
        )

    def __repr__(self):
        return f"{len(self.characters):,} characters, {len(self.labels):,} images"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Glyphs:
    """Characters to train on, and others that are never seen in training."""

    train: GlyphSet
    unseen: GlyphSet

    def __repr__(self):
        return f"Glyphs in {len(FACES)} faces, to train: {self.train}; never seen: {self.unseen}"


def load_glyphs():
    """Draw all glyph identities and split them; about three seconds, then kept for this process.

    The result depends on the installed Matplotlib only, whose fonts and FreeType do the drawing.
    """
    images, labels, faces, characters = _all_glyphs()
    order = np.argsort([_rank(character) for character in characters])
    train = round(0.75 * len(characters))
    everything = (images, labels, faces, characters)
    return Glyphs(_subset(*everything, order[:train]), _subset(*everything, order[train:]))


def draw(character, face=0):
    """One character as `load_glyphs` would draw it: (28, 28, 1) float32.

    Args:
        character: any one character.
        face: which of `FACES`.

    Raises:
        ValueError: if the face does not have the character, or it is blank or too large.
    """
    font = _fonts()[face]
    code = ord(character)
    image = _draw(font, code) if code in font.get_charmap() else None
    if image is None:
        raise ValueError(f"{FACES[face]} has no {character!r} that fits: take another character.")
    return image[..., np.newaxis].astype("float32") / 255


def faces_with(character):
    """The numbers of the faces that have this character."""
    return [face for face, font in enumerate(_fonts()) if ord(character) in font.get_charmap()]


def _rank(character):
    """A random place in the order, fixed for each character whatever the others are."""
    return hashlib.sha256(f"{SPLIT_SEED} {ord(character)}".encode()).hexdigest()


def _subset(images, labels, faces, characters, chosen):
    new_label = np.full(len(characters), -1)
    new_label[chosen] = np.arange(len(chosen))
    rows = np.flatnonzero(new_label[labels] >= 0)
    rows = rows[np.argsort(new_label[labels[rows]], kind="stable")]
    return GlyphSet(
        images[rows][..., np.newaxis].astype("float32") / 255,
        new_label[labels[rows]].astype("int32"),
        faces[rows],
        tuple(characters[i] for i in chosen),
    )


@functools.cache
def _all_glyphs():
    """Every kept character: uint8 images (n, 28, 28), labels, faces, and the characters."""
    drawn = _draw_all()
    look_alikes = _look_alikes(drawn)
    images, labels, faces, characters, kept = [], [], [], [], set()
    for code, by_face in drawn.items():
        different = {image.tobytes(): (image, face) for face, image in reversed(by_face.items())}
        if len(different) < MIN_IMAGES or look_alikes[code] & kept:
            continue
        kept.add(code)
        for image, face in sorted(different.values(), key=lambda pair: pair[1]):
            images.append(image)
            labels.append(len(characters))
            faces.append(face)
        characters.append(chr(code))
    return np.stack(images), np.array(labels), np.array(faces, "int32"), tuple(characters)


def _draw_all():
    """Code point → {face: image (28, 28) uint8} of all characters that enough faces have."""
    fonts = _fonts()
    has = [set(font.get_charmap()) for font in fonts]
    drawn = {}
    for code in sorted(set.union(*has)):
        # letters, numbers, punctuation, symbols: no spaces, no accents that need a letter
        if sum(code in known for known in has) < MIN_FACES or _kind(code) not in "LNPS":
            continue
        images = {f: _draw(font, code) for f, font in enumerate(fonts) if code in has[f]}
        images = {f: image for f, image in images.items() if image is not None}
        if len(images) >= MIN_FACES:
            drawn[code] = images
    return drawn


def _fonts():
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = [FT2Font(str(folder / f"{name}.ttf")) for name in FACES]
    for font in fonts:
        font.set_size(FONT_SIZE, 72)  # at 72 dots an inch a point is a pixel
    return fonts


def _kind(code):
    return unicodedata.category(chr(code))[0]


def _draw(font, code):
    """One character on the common baseline, centred; None if it is blank or does not fit."""
    font.set_text(chr(code), 0.0, flags=LoadFlags.NO_HINTING)
    font.draw_glyphs_to_bitmap(antialiased=True)
    drawn = np.asarray(font.get_image())
    if not drawn.any():
        return None
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    ink = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = ink.shape
    if max(height, width) > SIZE:
        return None
    highest = font.load_char(code, flags=LoadFlags.NO_HINTING).bbox[3] / 64
    top = min(max(BASELINE - math.ceil(highest), 0), SIZE - height)
    left = (SIZE - width) // 2
    image = np.zeros((SIZE, SIZE), "uint8")
    image[top : top + height, left : left + width] = ink
    return image


def _look_alikes(drawn):
    """Code point → the others that look like it: one image in common, or near-twins in a face."""
    found = {code: set() for code in drawn}
    for a, b in [*_equal_pairs(drawn), *_twin_pairs(drawn)]:
        found[a].add(b)
        found[b].add(a)
    return found


def _equal_pairs(drawn):
    owners = {}
    for code, by_face in drawn.items():
        for image in by_face.values():
            owners.setdefault(image.tobytes(), set()).add(code)
    for codes in owners.values():
        yield from ((a, b) for a in codes for b in codes if a < b)


def _twin_pairs(drawn):
    limit = (TWIN_DISTANCE * 255) ** 2
    for face in range(len(FACES)):
        codes = [code for code, by_face in drawn.items() if face in by_face]
        images = np.stack([drawn[code][face] for code in codes]).astype("int32")
        # Means over 4×4 pixels, scaled to length, are never farther apart than the images are:
        # a quick look for the few pairs that are worth a full comparison.
        means = images.reshape(-1, 7, 4, 7, 4).sum(axis=(2, 4), dtype="float32") / 4
        means = means.reshape(len(codes), 49)
        squares = (means**2).sum(axis=1)
        near = squares[:, None] + squares - 2 * means @ means.T < 1.01 * limit
        first, second = np.nonzero(np.triu(near, k=1))
        apart = ((images[first] - images[second]) ** 2).sum(axis=(1, 2))
        for pair in np.flatnonzero(apart < limit):
            yield codes[first[pair]], codes[second[pair]]
