"""The losses after ArcFace: values, gradients, states, their place in the ladder."""

import lib  # noqa: F401
from adaptive_checks import ALL_CHECKS
from lib import adaptive

import pytest

pytestmark = pytest.mark.backends


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.__name__)
def test_adaptive(check):
    check(adaptive)
