"""Figures that one can touch. Each is one line in a notebook, and a still picture elsewhere.

    interactive.MarginExplorer("ArcFace, m 0.5")

A figure is made once; sliders, drags and the training only move what is drawn in it. Where live
figures are not to be had (another backend than ipympl, or a page that only shows what is stored),
the same line gives the picture without the controls.
"""

from .boundaries import DecisionBoundaries
from .circle import CirclePlayground
from .door import Door
from .explorer import MarginExplorer
from .field import FieldExplorer
from .live import LiveTraining, Playback, Recorder, TrainingRecord
from .pairs import SameOrNot
from .room import RoomForClasses
from .scatter import Scatter
from .sphere import Sphere
from .threshold import ThresholdSlider

__all__ = [
    "CirclePlayground",
    "DecisionBoundaries",
    "Door",
    "FieldExplorer",
    "LiveTraining",
    "MarginExplorer",
    "Playback",
    "Recorder",
    "RoomForClasses",
    "SameOrNot",
    "Scatter",
    "Sphere",
    "ThresholdSlider",
    "TrainingRecord",
]
