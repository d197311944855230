"""What a step of head and loss computes, once more in PyTorch's own operations.

`lib.layers` and `lib.losses` say what is computed, and why. Where Keras runs on PyTorch they use
this module if it is there, and their tests hold for it. Compiled code does not mind many small
operations. PyTorch runs one after the other, each of Keras's takes several calls in Python, and
every array of (batch, classes) that could be done without counts in the peak of memory.
"""

import math

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def _inverse(lengths, smallest):
    """Return 1 / length, and 0 for what is as short as `smallest`; NaN stays NaN."""
    return (lengths > smallest) / lengths.clamp_min(smallest)


def lengths(rows):
    """Return the lengths of the rows, kept as an axis of size one, as constants."""
    return torch.linalg.vector_norm(rows.detach(), dim=1, keepdim=True)


def unit_rows(rows, lengths, smallest):
    """Return the rows divided by their lengths, as `lib.layers.unit_rows` does."""
    return _UnitRows.apply(rows, lengths, smallest)


class _UnitRows(Function):
    @staticmethod
    def forward(ctx, rows, lengths, smallest):
        # zero times the length is NaN for a row that has no direction: one that is not finite
        inverse = _inverse(lengths, smallest).add_(lengths, alpha=0.0)
        unit = rows * inverse
        ctx.save_for_backward(unit, inverse)
        return unit

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream):
        unit, inverse = ctx.saved_tensors
        along = (upstream * unit).sum(dim=1, keepdim=True)
        return torch.addcmul(upstream, unit, along, value=-1).mul_(inverse), None, None


def times_unit_columns(rows, kernel, smallest):
    """Return rows @ (kernel / length of its columns), as `lib.layers.times_unit_columns` does."""
    return _TimesUnitColumns.apply(rows, kernel, smallest)


class _TimesUnitColumns(Function):
    @staticmethod
    def forward(ctx, rows, kernel, smallest):
        inverse = _inverse(torch.linalg.vector_norm(kernel, dim=0), smallest)
        product = (rows @ kernel).mul_(inverse)
        ctx.save_for_backward(rows, kernel, inverse, product)
        return product

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream):
        rows, kernel, inverse, product = ctx.saved_tensors
        scaled = upstream * inverse
        along = (scaled * product).sum(dim=0).mul_(inverse)
        to_kernel = (rows.T @ scaled).addcmul_(kernel, along, value=-1)
        return scaled @ kernel.T, to_kernel, None


def pick(values, index):
    """Return values[i, index[i]] for each row i; an index out of range is an error on a CPU."""
    return values.gather(1, index.unsqueeze(1)).squeeze(1)


def or_nan(valid, values):
    """Return the values with NaN where they are not valid."""
    return values.masked_fill(~valid, math.nan)


def margin_cross_entropy(cosines, index, m1, m2, m3, *more):
    """Return one loss a sample, as the function of this name in `lib.losses` does."""
    margins = (
        margin.unsqueeze(1) if torch.is_tensor(margin) else margin for margin in (m1, m2, m3)
    )
    return _MarginCrossEntropy.apply(cosines, index, *margins, *more)


class _MarginCrossEntropy(Function):
    @staticmethod
    def forward(ctx, cosines, index, m1, m2, m3, scale, smoothing, others, detached, smallest_sine):
        places = index.unsqueeze(1)
        target = cosines.gather(1, places)
        logit, ctx.slope, ctx.fall = _margin_logit(target, m1, m2, m3, smallest_sine)
        own = scale * logit
        changed, ctx.steepness = others(cosines, logit.squeeze(1)) if others else (cosines, None)
        exps = (scale * changed).scatter_(1, places, -math.inf)
        largest = exps.amax(dim=1, keepdim=True)
        exps.sub_(largest).exp_()
        total = exps.sum(dim=1, keepdim=True)
        ahead = total.log().add_(largest).sub_(own)
        value = torch.nn.functional.softplus(ahead)
        if smoothing:
            away = scale * (changed.sum(dim=1, keepdim=True) - changed.gather(1, places))
            value += smoothing * (own - (own + away) / cosines.shape[1])
        ctx.save_for_backward(places, exps, total, ahead)
        ctx.scale, ctx.smoothing, ctx.detached = scale, smoothing, detached
        return value.squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream):
        places, exps, total, ahead = ctx.saved_tensors
        upstream = ctx.scale * upstream.unsqueeze(1)
        missing = ahead.sigmoid().mul_(upstream)
        to_cosines = exps * (missing / total)
        if ctx.smoothing:
            lifted = ctx.smoothing * upstream
            classes = exps.shape[1]
            to_cosines -= lifted / classes
            missing = missing - lifted * (1 - 1 / classes)
        if ctx.steepness is not None:
            to_cosines *= ctx.steepness
        to_cosines.scatter_(1, places, -missing if ctx.detached else -missing * ctx.slope)
        to_margin = None
        if ctx.needs_input_grad[3]:
            to_margin = missing * (0.0 if ctx.detached else ctx.fall)
        return (to_cosines, None, None, to_margin, *6 * (None,))


def _margin_logit(cosine, m1, m2, m3, smallest_sine):
    """Return psi(m1 * theta + m2) - m3 of target cosines, its derivative in the cosine, and how
    fast it falls with m2."""
    if isinstance(m1, float) and isinstance(m2, float) and m1 == 1 and m2 == 0:
        return cosine - m3, 1.0, None
    exact = cosine.double() if cosine.device.type in ("cpu", "cuda") else cosine
    square = (1 - exact) * (1 + exact)
    sine = square.clamp_min(smallest_sine**2).sqrt_()
    angle = torch.atan2(sine, exact).mul_(m1).add_(m2).clamp_min_(0)
    turns = torch.div(angle, math.pi, rounding_mode="floor")
    angle.sub_(turns, alpha=math.pi)  # psi = cos(angle) - 2 turns, now that it is in [0, pi)
    logit = angle.cos().sub_(turns, alpha=2).sub_(m3)
    fall = angle.sin()
    slope = m1 * fall / sine * (sine > smallest_sine)
    return logit.to(cosine.dtype), slope.to(cosine.dtype), fall.to(cosine.dtype)
