"""Objectives of two networks: on second moments of their outputs, and on cosines of single pairs.

    trace       - sum_k sigma_k(T)          T = L_x^-1 S_xy L_y^-T,  S_x + r m_x I = L_x L_x'
    Frobenius   - sum_k sigma_k(T)^2        over the k leading singular values
    soft HGR    - tr(S_xy) + tr(S_x S_y) / 2                      least value  - sum_k rho_k^2 / 2
    EY          - 2 tr(S_xy + S_xy') + tr((S_x + S_y)^2)          least value  - sum_k rho_k^2

with m_x the mean diagonal of S_x and rho_k the canonical correlations. The last two need no inverse
and suit small batches. All share one gradient in closed form: with G the derivative by a moment and
x, y the centred outputs,

    dx_i = a_i (G_x + G_x') x_i / N + G_xy (W y)_i / N

Moments and T are float64 whatever the networks compute in. Singular values, unlike eigenvectors,
have a gradient without eigen-gaps (U V'), so equal correlations, dead outputs and exactly whitened
batches stay finite. The factors and singular values of narrow outputs take a GPU longer than the
host, because each is a chain of small steps: there the moments go to the host, all in one transfer,
and their derivatives come back.

To compare with, there are objectives of c_ij = cos(x_i, y_j) with relevant pairs w_ij > 0,

    contrastive   - sum_ij w_ij (log softmax_j (c_ij / t) + log softmax_i (c_ij / t)) / 2 N
    ranking       sum_ij w_ij mean_l (max(0, m - c_ij + c_il) + max(0, m - c_ij + c_lj)) / 2 N

over the l irrelevant to i, or to j. Unlike moments they hold every pair of a batch: n_x n_y
numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch.nn import functional

from skcca._core.pairs import Pairs, instance_pairs

__all__ = [
    "as_torch_pairs",
    "cca_loss",
    "contrastive_loss",
    "ey_loss",
    "make_objective",
    "ranking_loss",
    "singular_values",
    "soft_hgr_loss",
]

Tensor = torch.Tensor

# A loss of the outputs of two networks and the pairs among their rows.
Objective = Callable[[Tensor, Tensor, Pairs], Tensor]

# Outputs of up to this width are solved for on the host, wherever the networks are.
HOST_WIDTH = 256
# The square of a ridge or a margin has to be a float64.
_MAX_NUMBER = 1e100
# Cosines that are divided by a temperature stay within float32.
_MIN_TEMPERATURE = 1e-30
# A row of a smaller norm counts as zero: its gradient would be arbitrary.
_MIN_NORM = 1e-6
# The same of float16, because the gradient of a cosine grows as 1 / norm, and its largest number.
_MIN_NORM_HALF, _MAX_HALF = 1e-3, 65504.0


def cca_loss(
    zx: Tensor,
    zy: Tensor,
    pairs: Pairs | None = None,
    *,
    n_components: int | None = None,
    reg: float = 1e-3,
    norm: Literal["trace", "frobenius"] = "trace",
) -> Tensor:
    """Return minus the total correlation of two batches of network outputs over the pairs.

    Parameters
    ----------
    zx, zy : tensor of shape (n_x, width), (n_y, width_y)
        Outputs of the two networks.
    pairs : Pairs, default=None
        Weights of the pairs, holding tensors (see `as_torch_pairs`); None pairs row i with row i.
    n_components : int, default=None
        Number of leading singular values; None for all.
    reg : float, default=1e-3
        Ridge, relative to the mean variance of the outputs.
    norm : {"trace", "frobenius"}, default="trace"
        Sum of the singular values, or of their squares.

    Returns
    -------
    loss : tensor of shape ()
        In float64 (float32 on devices without it), between ``-n_components`` and 0. Its gradient
        has no gradient of its own.

    Examples
    --------
    >>> import torch
    >>> from skcca.nn import cca_loss
    >>> z = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    >>> round(cca_loss(z, z @ z.T[:, :3], reg=1e-9).item(), 4)
    -3.0
    """
    if norm not in ("trace", "frobenius"):
        raise ValueError(f"`norm`={norm!r} must be 'trace' or 'frobenius'.")
    if n_components is not None and n_components < 1:
        raise ValueError(f"`n_components`={n_components!r} must be at least 1, or None for all.")
    power = 1 if norm == "trace" else 2
    reg = check_number(reg, "reg")

    def minus_correlation(*moments: Tensor) -> Tensor:
        return -(_singular_values(*moments, reg=reg)[:n_components] ** power).sum()

    return _moment_loss(zx, zy, pairs, minus_correlation)


def soft_hgr_loss(zx: Tensor, zy: Tensor, pairs: Pairs | None = None) -> Tensor:
    """Return the soft Hirschfeld-Gebelein-Renyi objective of two batches, [1]_.

    Parameters
    ----------
    zx, zy : tensor of shape (n_x, width), (n_y, width)
    pairs : Pairs, default=None
        See `cca_loss`.

    Returns
    -------
    loss : tensor of shape ()
        ``-tr(S_xy) + tr(S_x S_y) / 2``, at least minus half the sum of the squared correlations.

    References
    ----------
    .. [1] L. Wang et al. (2019). An efficient approach to informative feature extraction from
       multimodal data. AAAI 33, 5281-5288.
    """
    _check_batches(zx, zy, pairs, equally_wide=True)

    def soft_hgr(cov_x: Tensor, cov_y: Tensor, cross: Tensor) -> Tensor:
        return -cross.diagonal().sum() + (cov_x * cov_y).sum() / 2

    return _moment_loss(zx, zy, pairs, soft_hgr)


def ey_loss(zx: Tensor, zy: Tensor, pairs: Pairs | None = None, *, reg: float = 1e-3) -> Tensor:
    """Return the Eckart-Young objective of two batches, [1]_.

    Parameters
    ----------
    zx, zy : tensor of shape (n_x, width), (n_y, width)
    pairs : Pairs, default=None
    reg : float, default=1e-3
        See `cca_loss`.

    Returns
    -------
    loss : tensor of shape ()
        ``-2 tr(S_xy + S_xy') + tr((S_x + S_y)^2)``, ridges included: at least minus the sum of the
        squared correlations.

    References
    ----------
    .. [1] J. Chapman, L. Wells and A. L. Aguila (2024). Unconstrained stochastic CCA: unifying
       multiview and self-supervised learning. ICLR.
    """
    _check_batches(zx, zy, pairs, equally_wide=True)
    reg = check_number(reg, "reg")

    def eckart_young(cov_x: Tensor, cov_y: Tensor, cross: Tensor) -> Tensor:
        spread = _ridged(cov_x, reg) + _ridged(cov_y, reg)
        return -4 * cross.diagonal().sum() + (spread**2).sum()

    return _moment_loss(zx, zy, pairs, eckart_young)


def singular_values(
    zx: Tensor, zy: Tensor, pairs: Pairs | None = None, *, reg: float = 1e-3
) -> Tensor:
    """Return the singular values of T = S_x^(-1/2) S_xy S_y^(-1/2).

    Parameters
    ----------
    zx, zy : tensor of shape (n_x, width), (n_y, width_y)
    pairs : Pairs, default=None
    reg : float, default=1e-3
        See `cca_loss`.

    Returns
    -------
    singular_values : tensor of shape (min(width, width_y),)
        Descending; of `cca_loss` they are the sum with the sign changed.
    """
    reg = check_number(reg, "reg")
    moments = _moments(zx, zy, pairs)[2]
    return _singular_values(*moments, reg=reg).to(moments[0])


def as_torch_pairs(pairs: Pairs, device: torch.device | str = "cpu") -> Pairs:
    """Return pairs whose arrays are tensors on a device, for `cca_loss`.

    Parameters
    ----------
    pairs : Pairs
        Weights of the pairs among the rows of a batch, in NumPy arrays.
    device : torch.device or str, default="cpu"
        Where the outputs of the networks lie.

    Returns
    -------
    pairs : Pairs
        The same pairs, in float64 (float32 on MPS, which has no other).
    """
    dtype = torch.float64 if has_float64(torch.device(device)) else torch.float32

    def convert(array: Any) -> Tensor:
        tensor = torch.as_tensor(array.toarray() if hasattr(array, "toarray") else array)
        # Converted on the host, because a device without float64 refuses the array as it is.
        tensor = tensor.to(dtype) if tensor.is_floating_point() else tensor
        # Apple's MPS may read the memory of the host after it was freed; others need not be
        # waited for.
        return tensor.to(device, non_blocking=torch.device(device).type != "mps")

    return pairs.map(convert)


def has_float64(device: torch.device) -> bool:
    """Whether a device computes in float64, which Apple's MPS does not."""
    return device.type != "mps"


def _singular_values(cov_x: Tensor, cov_y: Tensor, cross: Tensor, *, reg: float) -> Tensor:
    """Return the singular values of T, on the host if the outputs are narrow."""
    cov_x, cov_y, cross = _where_solved(cov_x, cov_y, cross)
    half = torch.linalg.solve_triangular(_cholesky(cov_x, reg), cross, upper=False)
    T = torch.linalg.solve_triangular(_cholesky(cov_y, reg), half.T, upper=False)
    if not torch.isfinite(T).all():
        return T.sum(dim=0) * torch.nan
    return torch.linalg.svdvals(T)


def _where_solved(*moments: Tensor) -> Sequence[Tensor]:
    """Return the moments on the device where they are solved."""
    device, width = moments[0].device, max(len(S) for S in moments)
    if device.type == "cpu" or (width > HOST_WIDTH and has_float64(device)):
        return moments
    # A transfer takes the time of thousands of numbers, so that all of them go in one. So do their
    # derivatives, on the way back.
    on_host = torch.cat([S.flatten() for S in moments]).cpu().to(torch.float64)
    parts = on_host.split([S.numel() for S in moments])
    return [part.view(S.shape) for part, S in zip(parts, moments, strict=True)]


def _ridged(cov: Tensor, reg: float) -> Tensor:
    """Return S + r m I."""
    # The ridge is relative because sigmoid outputs are small. The last term is for dead outputs,
    # whose S is zero: it keeps their gradient within float32.
    ridge = reg * cov.diagonal().mean() + 1e-24
    return cov + ridge * torch.eye(len(cov), dtype=cov.dtype, device=cov.device)


def _cholesky(cov: Tensor, reg: float) -> Tensor:
    # Without a ridge, the covariance of a batch may be short of rank.
    least = 1e4 * torch.finfo(cov.dtype).eps
    factor, failed = torch.linalg.cholesky_ex(_ridged(cov, max(reg, least)))
    # Outputs that are not finite give a loss that is not finite either, for the loop to report.
    return torch.where(failed == 0, factor, torch.full_like(factor, torch.nan))


def _moments(
    zx: Tensor, zy: Tensor, pairs: Pairs | None
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor], Pairs]:
    """Return the centred outputs, S_x, S_y and S_xy, and the pairs."""
    _check_batches(zx, zy, pairs)
    dtype = torch.float64 if has_float64(zx.device) else torch.float32
    X, Y = zx.to(dtype), zy.to(dtype)
    if pairs is None:
        pairs = instance_pairs(torch.ones(len(X), dtype=dtype, device=X.device))
    a, b = pairs.row_sums / pairs.total, pairs.column_sums / pairs.total
    X, Y = X - a @ X, Y - b @ Y
    cov_x, cov_y = X.T @ (a[:, None] * X), Y.T @ (b[:, None] * Y)
    return X, Y, (cov_x, cov_y, pairs.cross(X, Y) / pairs.total), pairs


def check_number(value: float, name: str, low: float = 0.0) -> float:
    """Return a parameter of a loss as a finite float of at least `low`."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not low <= number <= _MAX_NUMBER:
        raise ValueError(f"`{name}`={value!r} must be a number from {low:g} to {_MAX_NUMBER:g}.")
    return number


def check_outputs(*outputs: Tensor) -> None:
    """Refuse outputs that are empty or complex, or hold no numbers."""
    for z in outputs:
        if z.is_meta:
            raise ValueError("A loss needs numbers, which a tensor on the device 'meta' has not.")
        if not z.numel() or z.is_complex():
            raise ValueError(
                "A loss needs batches of real numbers with at least one row and one column; got "
                f"shape {tuple(z.shape)} and {z.dtype}."
            )


def _check_batches(
    zx: Tensor, zy: Tensor, pairs: Pairs | None, *, equally_wide: bool = False
) -> None:
    if zx.ndim != 2 or zy.ndim != 2 or (pairs is None and len(zx) != len(zy)):
        raise ValueError(
            f"`zx` and `zy` must be batches (n, width) of equally many rows; got {tuple(zx.shape)} "
            f"and {tuple(zy.shape)}. Batches of unequal rows need `pairs`, which tell what belongs "
            "together."
        )
    if equally_wide and zx.shape[1] != zy.shape[1]:
        raise ValueError(
            "This objective adds up moments of both views, or takes cosines between them: their "
            f"networks must be equally wide; got {zx.shape[1]} and {zy.shape[1]} outputs."
        )
    check_outputs(zx, zy)


class _MomentLoss(torch.autograd.Function):
    """Function of the moments, with the closed gradient at the head of this file."""

    @staticmethod
    def forward(
        ctx: Any, zx: Tensor, zy: Tensor, pairs: Pairs | None, value_of: Callable[..., Tensor]
    ) -> Tensor:
        X, Y, moments, pairs = _moments(zx, zy, pairs)
        # Only the moments, which are small, have a graph; the gradient by the outputs is made here.
        wanted = any(ctx.needs_input_grad[:2])
        with torch.set_grad_enabled(wanted):
            for S in moments:
                S.requires_grad_(wanted)
            value = value_of(*moments)
        # Now, because a copy waits for what is queued on the device, and nothing is.
        result = value.detach().to(moments[0])
        if wanted:
            by_x, by_y, by_cross = torch.autograd.grad(value, moments)
            a, b, N = pairs.row_sums[:, None], pairs.column_sums[:, None], pairs.total
            dx = (a * X) @ (by_x + by_x.T) + pairs.dot(Y) @ by_cross.T
            dy = (b * Y) @ (by_y + by_y.T) + pairs.transposed_dot(X) @ by_cross
            ctx.save_for_backward(_saturated(dx / N, zx.dtype), _saturated(dy / N, zy.dtype))
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_loss: Tensor) -> tuple[Any, ...]:
        dx, dy = ctx.saved_tensors
        return by_loss.to(dx.dtype) * dx, by_loss.to(dy.dtype) * dy, None, None


_moment_loss: Callable[..., Tensor] = _MomentLoss.apply


def _saturated(gradient: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a gradient in the dtype of the outputs, within the small range of float16."""
    if dtype == torch.float16:
        gradient = gradient.clamp(-_MAX_HALF, _MAX_HALF)
    return gradient.to(dtype)


def contrastive_loss(
    zx: Tensor, zy: Tensor, pairs: Pairs | None = None, *, temperature: float = 0.1
) -> Tensor:
    """Return the contrastive loss of two batches, in both directions.

    With the rows' own pairs it is InfoNCE, as in CLIP [1]_; with class pairs the supervised
    contrastive loss [2]_ between the views.

    Parameters
    ----------
    zx, zy : tensor of shape (n_x, width), (n_y, width)
    pairs : Pairs, default=None
        See `cca_loss`.
    temperature : float, default=0.1
        Divisor of the cosines.

    Returns
    -------
    loss : tensor of shape ()
        Mean over the pairs, by weight, and over both directions.

    References
    ----------
    .. [1] A. Radford et al. (2021). Learning transferable visual models from natural language
       supervision. ICML.
    .. [2] P. Khosla et al. (2020). Supervised contrastive learning. NeurIPS.
    """
    cosines, weights = _cosines(zx, zy, pairs)
    logits = cosines / check_number(temperature, "temperature", low=_MIN_TEMPERATURE)
    both = logits.log_softmax(dim=1) + logits.log_softmax(dim=0)
    return -(weights * both).sum() / (2 * weights.sum())


def ranking_loss(
    zx: Tensor, zy: Tensor, pairs: Pairs | None = None, *, margin: float = 0.2
) -> Tensor:
    """Return the pairwise-ranking loss of two batches, in both directions, [1]_.

    Every relevant pair should be more similar, by a margin, than pairs of either of its rows with
    irrelevant ones.

    Parameters
    ----------
    zx, zy : tensor of shape (n_x, width), (n_y, width)
    pairs : Pairs, default=None
        See `cca_loss`.
    margin : float, default=0.2
        Difference of cosines that is enough.

    Returns
    -------
    loss : tensor of shape ()
        0 where every pair keeps its distance.

    References
    ----------
    .. [1] R. Kiros, R. Salakhutdinov and R. S. Zemel (2014). Unifying visual-semantic embeddings
       with multimodal neural language models. arXiv:1411.2539.
    """
    margin = check_number(margin, "margin")
    cosines, weights = _cosines(zx, zy, pairs)
    one_way = _hinges(cosines, weights, margin) + _hinges(cosines.T, weights.T, margin)
    return one_way / (2 * weights.sum())


def _hinges(cosines: Tensor, weights: Tensor, margin: float) -> Tensor:
    """Return sum_ij w_ij mean_l max(0, m - c_ij + c_il)."""
    # With the rivals c_il of row i in descending order, the sum over l is that of the first k,
    # where k of them exceed c_ij - m. No number is held for every triple i, j, l.
    relevant = weights > 0
    rivals = cosines.masked_fill(relevant, -torch.inf).sort(dim=1, descending=True).values
    sums = functional.pad(rivals.cumsum(dim=1), (1, 0))
    gaps = (margin - cosines).contiguous()
    k = torch.searchsorted(-rivals.detach(), gaps.detach())
    hinges = k * gaps + sums.gather(1, k)
    n_rivals = (~relevant).sum(dim=1, keepdim=True).clamp_min(1)
    return (weights * hinges / n_rivals).sum()


def _cosines(zx: Tensor, zy: Tensor, pairs: Pairs | None) -> tuple[Tensor, Tensor]:
    """Return c and W, where a row of zeros has cosine 0 and no gradient."""
    _check_batches(zx, zy, pairs, equally_wide=True)
    dtype = torch.promote_types(zx.dtype, zy.dtype)
    dtype = dtype if dtype.is_floating_point else torch.float64
    # Half precision has too few digits and too small a range for norms and exponentials.
    dtype = torch.promote_types(dtype, torch.float32)
    x, y = (_directions(z, dtype) for z in (zx, zy))
    eye = torch.eye(len(zy), dtype=dtype, device=zx.device)
    return x @ y.T, eye if pairs is None else pairs.dot(eye.to(pairs.row_sums.dtype)).to(dtype)


def _directions(z: Tensor, dtype: torch.dtype) -> Tensor:
    """Return rows of norm 1; of zeros where a norm is too small to be told from zero."""
    least = _MIN_NORM_HALF if z.dtype == torch.float16 else _MIN_NORM
    z = z.to(dtype)
    # Zeros are selected before the division, whose gradient would not be finite there.
    small = torch.linalg.vector_norm(z.detach(), dim=1, keepdim=True) < least
    return functional.normalize(z.masked_fill(small, 0.0), dim=1, eps=least)


def make_objective(name: str, *, n_components: int, reg: float) -> Objective:
    """Return the objective of a name as a function ``objective(zx, zy, pairs)``."""
    objectives: dict[str, Objective] = {
        "trace": partial(cca_loss, n_components=n_components, reg=reg),
        "frobenius": partial(cca_loss, n_components=n_components, reg=reg, norm="frobenius"),
        "soft_hgr": soft_hgr_loss,
        "ey": partial(ey_loss, reg=reg),
        "contrastive": contrastive_loss,
        "ranking": ranking_loss,
    }
    return objectives[name]
