"""How `lib.faces` draws: flat shapes, one over the other, on a head that turns.

All pictures are drawn at once. Arrays are (row, column, picture), so that what is one number for
each picture is a plain (n,) array; numbers are float32, which NumPy keeps when a Python number
joins in. A shape is the distance of each pixel to its edge, negative inside; a pixel that the edge
runs through is covered in part, which is why there are no stairs. Lengths are in halves of a
picture's width, y goes down. Why there is no sine, sum or product of matrices: see `lib.faces`.
"""

import copy
from types import SimpleNamespace

import numpy as np

NECK = 0.55  # the height at which the head turns

_COLOURS = {
    "skin": ("4a2f24", "7d5039", "b07a55", "dba981", "f3cfb0", "fbe3d0"),
    "flush": ("4a2019", "7d3a2a", "b05842", "db7d68", "f39f90", "fbaea4"),
    "hair": ("17151a", "2b1c17", "4a2c1c", "6b4126", "94491f", "c98f45", "e3c27e", "d8d5d1"),
    "iris": ("24150e", "3f2615", "5f4522", "4f6a45", "4a7896"),
    "background": ("2f4a63", "4d7f86", "8fb59a", "e3cda4", "f6ece0"),
    "clothes": ("26324d", "8c2f39", "2f6f5e", "c98a2b", "5c4b8a", "d9d4cc"),
    "white": ("f1eeea",),
    "black": ("15121a",),
    "lip": ("a8443f",),
    "mouth": ("5a1620",),
    "bar": ("4b5663",),
}


def _channels(colour):
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue, 0.299 * red + 0.587 * green + 0.114 * blue


PALETTES = {
    name: np.float32([_channels(colour) for colour in colours])
    for name, colours in _COLOURS.items()
}


def draw(p, t, size, colour):
    """Draw pictures (n, size, size, channels), float32 from 0 to 1.

    Args:
        p: who they show, by the names in `lib.faces.TRAITS`: arrays (n,), changed in place.
        t: what differs between pictures, by the names in `lib.faces.TABLE`: arrays (n,).
        size: pixels across and down.
        colour: True for red, green and blue, False for grey.
    """
    p.hairy = np.clip((0.94 - p.hairline) * 7, 0, 1)  # 0: bald on top
    p.top = p.volume * p.hairy  # how far hair stands off
    p.side = p.volume * (0.3 + 0.5 * p.hairy)
    p.curls = np.maximum(p.curl, 0) * (0.02 + 0.03 * p.hairy)
    canvas = _Canvas(p, t, size, colour)
    tones = _tones(p, t, colour)
    _draw_body(canvas, p, tones)
    _draw_head(canvas, p, tones)
    _draw_cheeks_and_beard(canvas, p, tones)
    _draw_mouth(canvas.window(0.30, 0.10, 0.64), p, t, tones)
    _draw_nose(canvas.window(0.26, -0.12, 0.42), p, tones)
    _draw_eyes(canvas.window(0.46, -0.26, 0.18), p, t, tones)
    _draw_brows(canvas.window(0.46, -0.48, 0.10), p, t, tones)
    _draw_fringe(canvas, p, tones)
    if t.glasses.any():
        _draw_glasses(canvas, p, t, tones)
    return _photograph(canvas, t, tones)


def _tones(p, t, colour):
    """Colours by name, each a list of channels; a grey picture is the luma of the colour one."""

    def tone(name, place=None):
        keys = PALETTES[name][:, :3] if colour else PALETTES[name][:, 3:]
        if place is None:
            return keys[0]
        place = place * (len(keys) - 1)
        low = np.minimum(np.floor(place), len(keys) - 2)
        part, low = place - low, low.astype("int32")
        return [key[low] + part * (key[low + 1] - key[low]) for key in keys.T]

    found = {name: tone(name) for name in ("white", "black", "lip", "mouth", "bar")}
    for name in ("skin", "hair", "iris"):
        found[name] = tone(name, getattr(p, name))
    for name in ("background", "clothes"):
        found[name] = tone(name, getattr(t, name))
    found["flush"] = tone("flush", p.skin)
    return SimpleNamespace(**found)


class _Canvas:
    """Pictures in the making, and for each of their pixels the place that is seen there.

    body_x, body_y: on the body, which does not turn. x, y: on the head as a flat shape.
    u, v: on the face, which is turned by yaw and pitch. Units: halves of a picture's width.
    """

    def __init__(self, p, t, size, colour):
        blocks = np.where(t.resolution > 0, t.resolution, size).astype("float32")
        centre = (np.arange(size, dtype="float32")[:, None] + 0.5) / size
        centre = (np.floor(centre * blocks) + 0.5) / blocks * 2 - 1
        self.column, self.row = centre[None], centre[:, None]
        self.picture_scale = blocks / 2  # pixels in a unit
        self.scale = self.picture_scale * t.zoom
        self.body_x = (self.column - 2 * t.shift_x) / t.zoom
        self.body_y = (self.row - 2 * t.shift_y) / t.zoom
        cos, sin = _cos_sin(t.roll)
        above = self.body_y - NECK
        self.x = self.body_x * cos + above * sin
        self.y = above * cos - self.body_x * sin + NECK
        self._turn(p, t)
        self.image = np.zeros((3 if colour else 1, size, size, len(blocks)), "float32")

    def _turn(self, p, t):
        """The head is an ellipsoid; its surface is seen from the front, turned."""
        radius_x, radius_y = 1.22 * p.head_width, 0.74
        right, down = self.x / radius_x, self.y / radius_y
        front = np.sqrt(np.maximum(1 - right * right - down * down, 0.03))
        cos, self.sin_yaw = _cos_sin(t.yaw)
        self.u = (right * cos - front * self.sin_yaw) * radius_x
        depth = right * self.sin_yaw + front * cos
        cos, sin = _cos_sin(t.pitch)
        self.v = (down * cos + depth * sin) * radius_y
        self.normal = right, down, front

    def window(self, reach, top, bottom):
        """The part of the canvas outside of which no face has |u| < reach and top < v < bottom.

        Most of a face is small: drawing it on its part only halves the time, and changes no pixel.
        """
        blur = 2 / self.scale
        near = (np.abs(self.u) < reach + blur) & (self.v > top - blur) & (self.v < bottom + blur)
        near = near.any(axis=2)
        part = copy.copy(self)
        box = _span(near.any(axis=1)), _span(near.any(axis=0))
        part.u, part.v, part.in_head = self.u[box], self.v[box], self.in_head[box]
        part.image = self.image[:, *box]
        return part

    def cover(self, distance, soft=1.0):
        """How much of each pixel is inside a shape, by the distance to its edge (inside: below 0).

        soft: how many pixels the edge is wide.
        """
        pixels = distance * (-self.scale / soft)
        pixels += 0.5
        return np.clip(pixels, 0, 1, out=pixels)

    def paint(self, cover, tone, factor=1.0):
        """Lay a colour, times a factor, over the picture."""
        for channel, value in zip(self.image, tone, strict=True):
            change = value * factor - channel  # in place: this is where the time goes
            change *= cover
            channel += change


def _span(found):
    """The slice from the first to the last that was found; an empty one if none was."""
    places = np.flatnonzero(found)
    return slice(places[0], places[-1] + 1) if len(places) else slice(0)


def _cos_sin(degrees):
    """Cosine and sine of up to 60 degrees, to float32's last digits, by their Taylor series."""
    angle = degrees * 0.017453292519943295
    q = angle * angle
    cos = 1 - q * (1 / 2 - q * (1 / 24 - q * (1 / 720 - q * (1 / 40320))))
    sin = angle * (1 - q * (1 / 6 - q * (1 / 120 - q * (1 / 5040 - q * (1 / 362880)))))
    return cos, sin


def _bumps(x):
    """A row of arches, one a unit, from -0.5 to 0.5."""
    part = x - np.floor(x)
    return 4 * part * (1 - part) - 0.5


def _ellipse(x, y, radius_x, radius_y):
    """Distance to an ellipse, exact for a circle."""
    x, y = x / radius_x, y / radius_y
    return (np.sqrt(x * x + y * y) - 1) * np.sqrt(np.float32(radius_x * radius_y))


def _box(x, y, half_width, half_height, corner):
    """Distance to a box with round corners."""
    x, y = np.abs(x) - half_width + corner, np.abs(y) - half_height + corner
    out_x, out_y = np.maximum(x, 0), np.maximum(y, 0)
    return np.sqrt(out_x * out_x + out_y * out_y) + np.minimum(np.maximum(x, y), 0) - corner


def _outline(canvas, p, side=0.0, top=0.0):
    """Distance to the outline of the head, made wider and higher for hair."""
    down = np.maximum(canvas.y, 0) / p.chin
    up = np.minimum(canvas.y, 0) / (p.forehead + top)
    low = np.minimum(down * down, 1)
    across = canvas.x / ((p.head_width + side) * (1 - p.taper * low))
    across = across * across
    square = across + down * down + up * up - p.jaw * np.minimum(across, 1) * low
    return (np.sqrt(square) - 1) * np.sqrt(p.head_width * 0.62)


def _draw_body(canvas, p, tones):
    x, y = canvas.body_x, canvas.body_y
    middle = canvas.column * canvas.column + canvas.row * canvas.row
    canvas.paint(1.0, tones.background, 1.06 - 0.12 * middle)
    shoulders = canvas.cover(_ellipse(x, y - 1.16, 0.86, 0.46))
    canvas.paint(shoulders, tones.clothes)
    full = np.maximum(p.hairy, np.clip(1.5 + 3.3 * canvas.y, 0, 1))  # the bald: at the sides only
    side = p.side * full - 0.03 * (1 - full)
    canvas.cap = _outline(canvas, p, side, p.top - 0.03 * (1 - p.hairy))
    angle = canvas.x / (np.abs(canvas.x) + np.abs(canvas.y) + 0.01)
    canvas.cap -= p.curls * full * _bumps(3.5 * angle + 0.5)
    hair = canvas.cover(_mane(canvas, p))
    canvas.paint(hair, tones.hair, 0.82)
    neck = np.minimum(_box(x, y - 0.72, 0.19, 0.36, 0.12), _ellipse(x, y - 0.92, 0.26, 0.14))
    neck = canvas.cover(neck)
    canvas.paint(neck, tones.skin, 0.80)
    canvas.person = np.maximum(np.maximum(shoulders, hair), neck)


def _mane(canvas, p):
    """Distance to the hair behind head and neck."""
    top, bottom = -p.forehead, p.length
    half_width = p.head_width + p.side + 0.10 * np.maximum(canvas.y, 0)
    half_height = (bottom - top) / 2
    fall = _box(
        canvas.x,
        canvas.y - top - half_height,
        half_width,
        half_height,
        np.minimum(half_height, 0.3),
    )
    fall = fall - p.curls * _bumps(5 * canvas.y)
    return np.where(canvas.y < 0, canvas.cap, fall)


def _draw_head(canvas, p, tones):
    out = np.abs(canvas.x) - 0.98 * p.head_width
    out += np.copysign(np.float32(0.1), canvas.x) * canvas.sin_yaw  # the far ear hides
    y = canvas.y - 0.03
    canvas.paint(canvas.cover(_ellipse(out, y, 0.75 * p.ears, p.ears)), tones.skin, 0.95)
    inner = _ellipse(out - 0.25 * p.ears, y, 0.35 * p.ears, 0.6 * p.ears)
    canvas.paint(canvas.cover(inner), tones.skin, 0.78)
    canvas.edge = _outline(canvas, p)
    canvas.in_head = canvas.cover(canvas.edge)
    canvas.paint(canvas.in_head, tones.skin)


def _draw_cheeks_and_beard(canvas, p, tones):
    u, v = canvas.u, canvas.v
    across = (np.abs(u) - p.eye_distance - 0.06) / 0.13
    down = (v - p.eye_height - 0.20) / 0.10
    blush = np.maximum(1 - across * across - down * down, 0)
    canvas.paint(0.55 * blush * canvas.in_head, tones.flush)
    beard = p.mouth_height + 0.10 - 2.2 * u * u - v
    curve = v - p.mouth_height + 0.065 - 0.5 * u * u
    end = p.mouth_width + 0.02
    across = u / end
    moustache = np.abs(curve) - 0.04 * (1 - 0.5 * across * across)
    moustache = np.maximum(moustache, np.abs(u) - end)
    amount = np.clip(3 * p.beard, 0, 0.9)
    cover = canvas.cover(np.minimum(beard, moustache), soft=2)
    canvas.paint(cover * amount * canvas.in_head, tones.hair, 0.9)


def _draw_mouth(canvas, p, t, tones):
    half = p.mouth_width * (1 + 0.12 * t.smile)
    across = canvas.u / half
    arch = np.maximum(1 - across * across, 0)
    line = canvas.v - p.mouth_height - 0.14 * t.smile * (arch - 0.5)
    gap = 0.06 * t.mouth_open * arch
    end = (np.abs(across) - 1) * half
    lips = np.maximum(-line - gap - 0.8 * p.lips * arch, line - gap - 1.1 * p.lips * arch)
    lip = [0.45 * skin + 0.5 * red for skin, red in zip(tones.skin, tones.lip, strict=True)]
    canvas.paint(canvas.cover(np.maximum(lips, end)), lip)
    inside = np.maximum(np.abs(line) - gap - 0.008, end)
    canvas.paint(canvas.cover(inside), tones.mouth)
    teeth = np.maximum(inside + 0.012, line + 0.2 * gap)
    canvas.paint(canvas.cover(teeth), tones.white)


def _draw_nose(canvas, p, tones):
    u = np.abs(canvas.u - 0.10 * canvas.sin_yaw)  # it stands out
    down = canvas.v - p.eye_height
    half = p.nose_length / 2
    width = p.nose_width * (0.25 + 0.25 * np.clip(down / half, 0, 2))
    bridge = np.maximum(u - width, np.abs(down - half) - half)
    canvas.paint(0.35 * canvas.cover(bridge, soft=3), tones.skin, 0.80)
    tip = down - p.nose_length
    canvas.paint(
        canvas.cover(_ellipse(u, tip, p.nose_width, 0.62 * p.nose_width)), tones.skin, 0.86
    )
    nostril = _ellipse(
        u - 0.5 * p.nose_width, tip - 0.25 * p.nose_width, 0.24 * p.nose_width, 0.16 * p.nose_width
    )
    canvas.paint(canvas.cover(nostril), tones.skin, 0.45)


def _draw_eyes(canvas, p, t, tones):
    """Both at once, by |u|; only where they look is not mirrored."""
    side = np.copysign(np.float32(1), canvas.u)
    x = np.abs(canvas.u) - p.eye_distance
    y = canvas.v - p.eye_height + p.eye_slant * x
    across = x / p.eye_size
    opening = p.eye_size * p.eye_opening * np.where(t.blink, 0.08, 1).astype("float32")
    lid = opening * np.maximum(1 - across * across, 0)
    end = np.abs(x) - p.eye_size
    eye = canvas.in_head * canvas.cover(np.maximum(np.maximum(-y - lid, y - 0.8 * lid), end))
    canvas.paint(eye, tones.white)
    iris = 0.60 * p.eye_size
    x -= 0.3 * side * t.gaze * p.eye_size
    away = np.sqrt(x * x + y * y)
    canvas.paint(eye * canvas.cover(away - iris), tones.iris)
    canvas.paint(eye * canvas.cover(away - 0.5 * iris), tones.black)
    glint = _ellipse(x - 0.3 * side * iris, y + 0.35 * iris, 0.26 * iris, 0.26 * iris)
    canvas.paint(eye * canvas.cover(glint), tones.white)
    lash = canvas.cover(np.maximum(np.abs(y + lid) - 0.014, end))
    canvas.paint(canvas.in_head * lash, tones.black)


def _draw_brows(canvas, p, t, tones):
    half = 1.25 * p.eye_size
    x = np.abs(canvas.u) - p.eye_distance
    across = x / half
    y = canvas.v - p.eye_height + p.brow_height + 0.025 * t.brow_lift
    y = y - p.brow_slope * x + 0.04 * (1 - across * across)
    brow = np.maximum(np.abs(y) - p.brow_weight * (1 - 0.35 * across), np.abs(x) - half)
    canvas.paint(canvas.in_head * canvas.cover(brow), tones.hair, 0.75)


def _draw_fringe(canvas, p, tones):
    """The hair in front: the cap above the hairline, and down to the ears at the sides."""
    across = canvas.u / p.head_width
    far = np.maximum(np.abs(across) - 0.74, 0)
    line = 0.30 * p.parting * across + 0.12 * across * across + 14 * far * far
    line -= p.forehead * p.hairline + 0.1 * (1 - p.hairy)
    ear = np.clip(0.6 * p.length, 0.02, 0.30)
    slope = np.where(line < ear, 28 * far + 0.24 * np.abs(across), 0) / p.head_width
    line = np.minimum(line, ear) + p.curls * _bumps(4 * across)
    below = (canvas.v - line) / np.sqrt(1 + slope * slope)
    band = (canvas.cap + 0.11) / 0.05
    shine = 1 + 0.2 * np.maximum(1 - band * band, 0) * np.clip(-2 * canvas.y - 0.3, 0, 1)
    canvas.paint(canvas.cover(np.maximum(canvas.cap, below)), tones.hair, shine)


def _draw_glasses(canvas, p, t, tones):
    x, y = np.abs(canvas.u) - p.eye_distance, canvas.v - p.eye_height
    half = np.minimum(1.45 * p.eye_size, p.eye_distance - 0.03)
    frame = np.abs(_box(x, y, half, 0.85 * half, 0.6 * half)) - 0.018
    bridge = np.maximum(np.abs(y + 0.02) - 0.014, x + half)
    arm = np.maximum(np.maximum(np.abs(y + 0.03) - 0.014, half - x), canvas.edge)
    cover = canvas.cover(np.minimum(np.minimum(frame, bridge), arm))
    canvas.paint(cover * t.glasses, tones.black)


def _photograph(canvas, t, tones):
    """Light, a bar in front, blur, contrast and noise; then 256 levels, as a camera has.

    Rounding to levels is also what hides the last digit, should a processor differ after all.
    """
    right, down, front = canvas.normal
    right = np.clip(right, -1, 1)
    light = (
        1
        - 0.15 * np.abs(t.light_x)
        + 0.65 * t.light_x * right
        + 0.4 * t.light_y * down
        + 0.15 * (front - 0.7)
    )
    person = np.maximum(canvas.person, canvas.in_head)
    light = 1 + (np.clip(light, 0.15, 1.5) - 1) * (0.25 + 0.75 * person)  # a wall is far away
    near = np.abs(canvas.row - t.bar_y) - t.bar_size
    bar = np.clip(0.5 - near * canvas.picture_scale, 0, 1) * t.bar
    grain = _grain(t, canvas.image.shape[1]) + (0.5 + t.brightness)
    canvas.image *= light
    canvas.paint(bar, tones.bar)
    _blur(canvas.image, np.floor(2 * (t.blur * canvas.image.shape[1]) ** 2 + 0.5))
    canvas.image -= 0.5
    canvas.image *= t.contrast
    canvas.image += grain
    levels = np.floor(np.clip(canvas.image, 0, 1) * 255 + 0.5)
    return levels.transpose(3, 1, 2, 0) / 255


def _blur(images, passes):
    """Blur each picture in place by so many passes of the filter 1 2 1 along columns and rows.

    A pass adds half a pixel to the variance: only sums and products of single elements, so that the
    result is the same everywhere.
    """
    order = np.argsort(-passes, kind="stable")[: np.count_nonzero(passes)]
    part, left = images[..., order], passes[order]
    for done in range(int(left[0]) if len(left) else 0):
        some = part[..., : np.count_nonzero(left > done)]
        for axis in (1, 2):
            ends = [2 * (int(axis == at),) for at in range(4)]
            wide = np.moveaxis(np.pad(some, ends, "edge"), axis, 0)
            some[...] = np.moveaxis(0.5 * wide[1:-1] + 0.25 * (wide[:-2] + wide[2:]), 0, axis)
    images[..., order] = part


def _grain(t, size):
    """Noise (size, size, n): of each pixel the sum of two random bytes; a word has eight."""
    words = random_words(t.grain, -(-size * size // 4))
    bytes_ = [((words >> np.uint64(8 * i)) & np.uint64(255)).astype("float32") for i in range(8)]
    pairs = np.stack([bytes_[i] + bytes_[i + 4] for i in range(4)]).reshape(-1, len(t.grain))
    return ((pairs[: size * size] - 255) * (t.noise / 104.5)).reshape(size, size, -1)


# --- random numbers

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(bits):
    """SplitMix64 (Steele, Lea and Flood, 2014): one random uint64 for each different uint64.

    Since it needs no state, any person and any picture can be drawn without those before.
    """
    bits = bits + _GOLDEN
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def random_words(keys, count):
    """The first `count` random uint64 of each key: (count, n)."""
    return mix(keys + np.arange(count, dtype="uint64")[:, None] * _GOLDEN)
