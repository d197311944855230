"""Pictures on a disk, as arrays for the course's backbone; and the pairs of LFW.

    mine = read_folder("people")  # people/NAME/any picture
    embeddings = evaluation.embed(backbone, mine.images)

Pillow decodes, NumPy and the standard library do the rest. What cannot be read is passed over and
named, with the reason: `mine.passed_over`.
"""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from . import inputs
from .files import Problem

WHOLE = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False, repr=False)
class Pictures:
    """What `read_folder` found.

    images: (N, size, size, 1) float32, 0 black to 1 white, ordered by label.
    labels: (N,) int32, places in `names`.
    names: of the people, in alphabetical order; each has a picture at least.
    paths: (N,) where each picture is from.
    passed_over: (path, reason) of each file that was not read.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple
    paths: tuple
    passed_over: tuple

    def __repr__(self):
        text = f"{len(self.paths):,} pictures of {len(self.names):,} people"
        lines = [f"\n  passed over: {path} ({reason})" for path, reason in self.passed_over]
        return text + "".join(lines)


def read_folder(folder, size=28, crop=WHOLE):
    """All pictures in folders that are named after people: `folder/NAME/picture.png`.

    Args:
        folder: the one that holds the people's folders.
        size, crop: as for `read_picture`.

    Returns:
        `Pictures`. Hidden files, files that are no pictures, damaged ones, and what lies elsewhere
        than in a person's folder are in `passed_over`.

    Raises:
        Problem: if there is no such folder, or not one picture in it.
    """
    size, crop = _checked(size, crop)
    folder = Path(folder)
    if not folder.is_dir():
        raise Problem(f"{folder}: there is no such folder; it should hold one for each person.")
    found, passed_over = [], []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            for file in sorted(path.iterdir()):
                try:
                    # a Mac's file system writes é as two characters; the gallery shall not care
                    name = unicodedata.normalize("NFC", path.name)
                    found.append((name, file, _read(file, size, crop)))
                except Problem as problem:
                    passed_over.append((file, str(problem)))
            if not any(file.parent == path for _, file, _ in found):
                passed_over.append((path, "no picture of this person"))
        else:
            hidden = path.name.startswith(".")
            passed_over.append((path, "hidden" if hidden else "not in a person's folder"))
    if not found:
        reasons = inputs.some(f"{path.name}: {reason}" for path, reason in passed_over)
        raise Problem(
            f"{folder}: no picture in it; put some into a folder for each person, as in "
            f"{folder / 'Ada' / 'first.png'}. Passed over: {reasons or 'nothing'}."
        )
    found.sort(key=lambda row: row[0])
    people, paths, images = zip(*found, strict=True)
    names, labels = np.unique(people, return_inverse=True)
    return Pictures(
        np.stack(images), labels.astype("int32"), tuple(names.tolist()), paths, tuple(passed_over)
    )


def read_picture(path, size=28, crop=WHOLE):
    """One picture: turned as its camera says, transparent parts white, grey, square, scaled.

    Args:
        path: of a file that Pillow reads.
        size: pixels across and down, 8 to 512; the course's backbone takes 28.
        crop: (left, top, right, bottom), the part to use in shares of width and height. Of that
            part the largest square in its middle is taken, so that no face is squeezed.

    Returns:
        (size, size, 1) float32, 0 black to 1 white.

    Raises:
        Problem: if the file is missing, damaged or no picture.
    """
    size, crop = _checked(size, crop)
    try:
        return _read(Path(path), size, crop)
    except Problem as problem:
        raise Problem(f"{path}: {problem}.") from problem


def _checked(size, crop):
    size = inputs.whole_number(size, "size", 8, 512)
    left, top, right, bottom = inputs.array(crop, "crop", (4,)).tolist()
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError(
            "crop: expected (left, top, right, bottom) from 0 to 1, left before right and top "
            f"above bottom, got {inputs.shown(crop)}."
        )
    return size, (left, top, right, bottom)


def _read(path, size, crop):
    """As `read_picture`; the Problem gives the reason alone."""
    if path.name.startswith("."):
        raise Problem("hidden")
    if not path.is_file():
        raise Problem("a folder, not a picture" if path.is_dir() else "there is no such file")
    try:
        with Image.open(path) as image:
            grey = _grey(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        heic = path.suffix.lower() in (".heic", ".heif")
        hint = "save it as JPEG" if heic else "or its beginning is damaged"
        raise Problem(f"not a picture that Pillow reads; {hint}") from error
    except Exception as error:  # of damaged files, decoders raise almost anything
        raise Problem(f"cannot be decoded: {' '.join(str(error).split())[:80]}") from error
    left, top, right, bottom = np.multiply(crop, grey.size * 2)
    half = min(right - left, bottom - top) / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    box = np.clip([x - half, y - half, x + half, y + half], 0, grey.size * 2).tolist()
    scaled = grey.resize((size, size), Image.Resampling.BILINEAR, box)
    return np.clip(np.asarray(scaled, "float32"), 0, 255)[..., None] / np.float32(255)


def _grey(image):
    """Luma from 0 to 255, as floats, so that scaling rounds nothing."""
    if image.mode == "F":
        raise ValueError("pixels are floating-point numbers, whose white is not known")
    if image.mode.startswith("I"):  # 16 bits, which Pillow would clip at 255
        return Image.fromarray(np.asarray(image, "float32") / 257)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB").convert("L").convert("F")


# --- LFW ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class Pairs:
    """A list of pairs, in the form that `verification.fold_accuracy` takes.

    files: each picture once, as "NAME/NAME_0001.jpg".
    first, second: (folds, P) rows of `files`.
    genuine: (folds, P) bool.
    """

    files: tuple
    first: np.ndarray
    second: np.ndarray
    genuine: np.ndarray

    def __repr__(self):
        folds, pairs = self.genuine.shape
        return f"{folds} folds of {pairs:,} pairs, {len(self.files):,} pictures"


def read_pairs(path, suffix=".jpg"):
    """The pairs of a file in the form of LFW's pairs.txt.

    The first line has the number of folds and of pairs, n. Then each fold has n lines `NAME a b`,
    two pictures of one person, and n lines `NAME a OTHER b`. Picture 1 of NAME is in the file
    NAME/NAME_0001.jpg. LFW's own has 10 folds of 300 + 300 pairs.

        pairs = read_pairs("pairs.txt")
        images = np.stack([read_picture(Path("lfw") / file) for file in pairs.files])
        found = embed(backbone, images)
        verification.fold_accuracy(found, pairs.first, pairs.second, pairs.genuine)

    Args:
        path: of the file.
        suffix: what the names of the pictures end in.

    Raises:
        Problem: naming the line that has another form.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise Problem(f"{path}: it cannot be read as text ({error}).") from error
    while lines and not lines[-1].strip():
        lines.pop()
    header = lines[0].split() if lines else []
    if len(header) != 2 or not all(word.isdecimal() and int(word) for word in header):
        raise Problem(
            f"{path}, line 1: expected the number of folds and of pairs, such as '10 300' (a list "
            f"with one number has no folds), got {inputs.shown(' '.join(header))}."
        )
    folds, pairs = map(int, header)
    if len(lines) - 1 != folds * 2 * pairs:
        raise Problem(
            f"{path}: {folds} folds of {pairs} + {pairs} pairs are {folds * 2 * pairs:,} lines "
            f"after the first, and there are {len(lines) - 1:,}; fetch the file again."
        )
    genuine = np.tile(np.repeat([True, False], pairs), (folds, 1))
    wanted = [
        _two_files(path, number, line.split(), same, suffix)
        for number, (line, same) in enumerate(zip(lines[1:], genuine.flat, strict=True), start=2)
    ]
    files, rows = np.unique(wanted, return_inverse=True)
    first, second = rows.reshape(folds, 2 * pairs, 2).transpose(2, 0, 1)
    return Pairs(tuple(files.tolist()), first, second, genuine)


def _two_files(path, number, words, same, suffix):
    people = words[:1] * 2 if same else words[::2]
    pictures = words[1:] if same else words[1::2]
    fits = len(words) == (3 if same else 4) and all(n.isdecimal() and int(n) for n in pictures)
    if not fits or len(set(map(int, pictures) if same else people)) < 2:
        form = "NAME a b, two pictures of one person" if same else "NAME a OTHER b, two people"
        raise Problem(f"{path}, line {number}: expected {form}; got {inputs.shown(words)}.")
    return [
        f"{name}/{name}_{int(picture):04d}{suffix}"
        for name, picture in zip(people, pictures, strict=True)
    ]
