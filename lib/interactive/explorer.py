"""The margin explorer: what m1, m2, m3 and s do to the target's cosine, slope and probability."""

import math

import numpy as np

from ..palette import COLORS, INK, LOSS_COLORS, LOSS_DASHES, OTHER, OWN, loss_in
from ..scene import COMPARED, PRESETS
from .curves import PAST_PI, probability, pull, pull_elsewhere, target_cosine
from .curves import target_cosine_elsewhere as elsewhere
from .panel import Panel, choice, slider, switch

OWN_SETTING = "your own"
DEGREES = np.linspace(0, 180, 361)
THETA = np.radians(DEGREES)


class MarginExplorer(Panel):
    """Move the margins and see the target's cosine, its slope, and its probability.

    The dot begins where the target's probability is a half.

    Args:
        preset: the setting to begin with, a name in `PRESETS`.
        others: how many other classes there are for the probability, all at a right angle.
        name: of the figure, unique in the notebook.
    """

    def __init__(self, preset="ArcFace, m 0.5", others=9, name="margin explorer"):
        if preset not in PRESETS:
            raise ValueError(f"no preset {preset!r}; there are: {', '.join(PRESETS)}.")
        m1, m2, m3, scale = PRESETS[preset]
        self.others = others
        controls = {
            "preset": choice("preset", [*PRESETS, OWN_SETTING], preset),
            "m1": slider("m1", "factor, no unit", 0.5, 4.0, m1, 0.05),
            "m2": slider("m2", "radians", 0.0, 1.57, m2, 0.01),
            "m3": slider("m3", "cosine, no unit", 0.0, 1.0, m3, 0.01),
            "s": slider("scale s", "no unit", 1, 128, scale),
            "angle": slider("angle θ", "degrees", 0, 180, self._half_way(preset)),
            "losses": switch("all losses, scale 16 or 64"),
            "past pi": switch("other code, where θ + m2 > π"),
        }
        alt = (
            f"Three curves over the angle to the own class, for {preset}: the target's cosine with "
            "its margin, below the plain cosine; how fast it falls; and the probability of the own "
            "class. A thin curve on each is without a margin, and a dot marks one angle."
        )
        super().__init__(name, alt, controls, columns=3, width=10.5, height=3.9)
        self._draw()
        controls["preset"].observe(self._take_preset, names="value")
        self.ready()

    def _draw(self):
        quantities = ("target's cosine", "its slope, per radian", "probability")
        for ax, quantity in zip(self.axes, quantities, strict=True):
            ax.set(xlim=(0, 180), xticks=range(0, 181, 45), ylabel=quantity)
            ax.set_xlabel("angle θ to the own class (degrees)")
            ax.set_title("at 180° a cosine of −8.00, not −1.00", fontsize=11)  # as wide as it gets
        self.setting = self.fig.suptitle("m1", fontsize=11)
        thin = [ax.plot(DEGREES, np.cos(THETA), color=INK, lw=1)[0] for ax in self.axes]
        thin[1].set_ydata(np.sin(THETA))
        self.plain = thin[2]  # moves with the scale
        self.axes[1].axhline(0, color="0.7", lw=0.8)
        self.axes[2].set_ylim(-0.03, 1.05)
        self.axes[0].set_ylim(-2.2, 1.2)
        self.axes[1].set_ylim(-1.1, 1.15)
        self.curves = [ax.plot(DEGREES, np.cos(THETA), color=OWN, lw=2.5)[0] for ax in self.axes]
        self.dots = [ax.plot([0], [0], "o", color=OTHER, ms=8, zorder=5)[0] for ax in self.axes]
        self.lines = [ax.axvline(0, color=OTHER, lw=1, ls=":") for ax in self.axes]
        self._draw_losses()
        self._draw_other_code()

    def _draw_losses(self):
        self.compared, handles = [], []
        for preset in COMPARED:
            m1, m2, m3, scale = PRESETS[preset]
            values = (
                target_cosine(THETA, m1, m2, m3),
                pull(THETA, m1, m2, m3),
                probability(THETA, m1, m2, m3, scale, self.others),
            )
            loss = loss_in(preset)
            look = {"ls": LOSS_DASHES[loss], "color": LOSS_COLORS[loss], "lw": 1.6}
            lines = [
                ax.plot(DEGREES, v, **look)[0] for ax, v in zip(self.axes, values, strict=True)
            ]
            lines[0].set_label(preset)
            self.compared += lines
            handles.append(lines[0])
        legend = self.axes[0].legend(handles=handles, loc="lower left", fontsize=9)
        self.axes[0].add_artist(legend)
        self.compared.append(legend)

    def _draw_other_code(self):
        self.elsewhere, styles = {}, ("--", "-.", ":")
        colors = (COLORS[2], COLORS[4], COLORS[6])
        for rule, style, color in zip(PAST_PI, styles, colors, strict=True):
            self.elsewhere[rule] = [
                ax.plot(DEGREES, np.zeros_like(DEGREES), ls=style, color=color, lw=2)[0]
                for ax in self.axes[:2]
            ]
            self.elsewhere[rule][0].set_label(rule)
        handles = [lines[0] for lines in self.elsewhere.values()]
        self.rules_legend = self.axes[0].legend(handles=handles, loc="lower left", fontsize=9)

    def _take_preset(self, change):
        if change["new"] in PRESETS:
            with self.silently():
                names = ("m1", "m2", "m3", "s")
                for name, value in zip(names, PRESETS[change["new"]], strict=True):
                    self.controls[name].value = value

    def margins(self):
        return tuple(self.value(name) for name in ("m1", "m2", "m3"))

    def update(self):
        margins, scale = self.margins(), self.value("s")
        self._name_the_setting(margins, scale)
        angle = math.radians(self.value("angle"))
        functions = (
            lambda theta: target_cosine(theta, *margins),
            lambda theta: pull(theta, *margins),
            lambda theta: probability(theta, *margins, scale, self.others),
        )
        for curve, dot, line, function in zip(
            self.curves, self.dots, self.lines, functions, strict=True
        ):
            curve.set_ydata(function(THETA))
            dot.set_data([self.value("angle")], [float(function(angle))])
            line.set_xdata([self.value("angle")] * 2)
        self.plain.set_ydata(probability(THETA, scale=scale, others=self.others))
        self._say(angle, [float(function(angle)) for function in functions], scale)
        self._show_others(margins)
        self._fit_axes(margins)

    def _say(self, angle, values, scale):
        """What the three curves say at an angle, beside the same without a margin."""
        without = math.cos(angle), math.sin(angle), probability(angle, 1, 0, 0, scale, self.others)
        sentences = ("a cosine of {}, not {}", "it falls by {}, not {}", "p is {}, not {}")
        for ax, sentence, *both in zip(self.axes, sentences, values, without, strict=True):
            said = sentence.format(*(f"{value:z.2f}".replace("-", "−") for value in both))
            ax.title.set_text(f"at {self.value('angle')}° {said}")

    def _half_way(self, preset):
        """At which angle, in whole degrees, the target's probability is a half."""
        chances = probability(THETA, *PRESETS[preset], self.others)
        return round(float(DEGREES[np.abs(chances - 0.5).argmin()]))

    def _name_the_setting(self, margins, scale):
        setting = (*margins, scale)
        preset = self.controls["preset"]
        if preset.value in PRESETS and not np.allclose(PRESETS[preset.value], setting):
            preset.value = OWN_SETTING
        m1, m2, m3 = margins
        bonus = m2 < (1 - m1) * math.pi
        self.setting.set_text(
            f"m1 = {m1:.3g}, m2 = {m2:.2f} rad, m3 = {m3:.2f}, s = {scale}: "
            + ("a bonus in part, which lib refuses" if bonus else "thick; thin: no margin")
        )

    def _show_others(self, margins):
        for artist in self.compared:
            artist.set_visible(self.value("losses"))
        m1, m2, m3 = margins
        shown = self.value("past pi") and m1 == 1 and m2 > 0
        for rule, (curve, slope) in self.elsewhere.items():
            beyond = np.where(THETA + m2 > np.pi, 1.0, np.nan)
            curve.set_ydata(beyond * elsewhere(THETA, m2, m3, rule))
            slope.set_ydata(beyond * pull_elsewhere(THETA, m2, rule))
            curve.set_visible(shown)
            slope.set_visible(shown)
        self.rules_legend.set_visible(shown and not self.value("losses"))

    def _fit_axes(self, margins):
        lowest = float(target_cosine(np.pi, *margins))
        compared = self.value("losses")
        shown = -3.2 if compared else -2.0 if self.value("past pi") else -1.0
        self.axes[0].set_ylim(min(lowest, shown) - 0.2, 1.2)
        highest = max(1.0, margins[0], 2.0 if compared else 0)
        low = -1.1 if self.value("past pi") else -0.05
        self.axes[1].set_ylim(low * highest, 1.15 * highest)
