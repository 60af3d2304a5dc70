"""Agreement of correlations between skcca and its peers, and between float32 and float64."""

from __future__ import annotations

import numpy as np

from benchmarks._peers import PEERS, Peer, fit_apart, fit_once
from benchmarks._record import Record
from benchmarks._simulated import TwoViews, simulated_views
from skcca import CCA, ClusterCCA
from skcca._core.directions import pair_moments
from skcca._core.pairs import instance_pairs

Array = np.ndarray


def measure(
    peer_shape: tuple[int, int, int], single_shape: tuple[int, int, int], limit: float
) -> Record:
    """Compare with the peers on views of one shape, and float32 with float64 on another."""
    record = Record(
        "linear_agreement",
        "Agreement of linear fits",
        "largest difference of a canonical correlation; moments in units of the standard "
        "deviations",
        ("difference", "at most"),
    )
    X, Y, _ = simulated_views(*peer_shape)
    ours = CCA(30).fit(X, Y).correlations_
    for peer in PEERS:
        label = f"CCA and {peer.name}, {peer.n_components} components, {peer_shape[0]:,} rows"
        record.add(label, _beside(peer, ours, X, Y, limit))
    single = simulated_views(*single_shape, "float32")
    # The numbers are the same, so that only the products differ.
    double = single.astype("float64")
    rows = f"float32 and float64, {single_shape[0]:,} rows"
    record.add(f"moments, {rows}", (moment_error(single, double), 1e-6))
    for model in (CCA(30), ClusterCCA()):
        found = [model.fit(*views).correlations_ for views in (single, double)]
        record.add(f"{type(model).__name__}, {rows}", (np.abs(found[0] - found[1]).max(), 1e-6))
    return record


def _beside(peer: Peer, ours: Array, X: Array, Y: Array, limit: float) -> tuple:
    """Return the deviation of a peer's correlations from ours, and its tolerance."""
    if peer.missing:
        return "missing", None
    shape = (len(X), X.shape[1], Y.shape[1])
    found = fit_apart(peer, shape, limit) if peer.alone else fit_once(peer, X, Y)
    if found is None:
        return f"> {limit:.0f} s", None
    theirs = np.array(found.correlations)
    return np.abs(theirs - ours[: len(theirs)]).max(), peer.tolerance


def moment_error(single: TwoViews, double: TwoViews) -> float:
    """Return the largest error of a covariance of float32 products, as one of a correlation."""
    pairs = instance_pairs(np.broadcast_to(1.0, len(single.X)))
    rounded = pair_moments(single.X, single.Y, pairs, np.float32)
    exact = pair_moments(double.X, double.Y, pairs)
    std_x, std_y = (np.sqrt(np.diag(cov)) for cov in (exact.cov_x, exact.cov_y))
    errors = (
        (rounded.cov_x - exact.cov_x) / np.outer(std_x, std_x),
        (rounded.cov_y - exact.cov_y) / np.outer(std_y, std_y),
        (rounded.cov_xy - exact.cov_xy) / np.outer(std_x, std_y),
    )
    return max(float(np.abs(error).max()) for error in errors)
