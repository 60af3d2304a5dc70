"""Other libraries of canonical correlation analysis; ``pip install "skcca[bench]"`` installs them.

    python -m benchmarks._peers scikit-learn 8000 128 1024   # one fit in its own process

A library that cannot be imported is reported as missing, in print and in the results.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from benchmarks._simulated import simulated_views
from benchmarks._timing import seconds

Array = np.ndarray


class Peer(NamedTuple):
    """Call of a library, and the tolerance of its results."""

    # Name of the distribution.
    name: str
    module: str
    fit: Callable[[Array, Array, int], Any]
    correlations: Callable[[Any, Array, Array], Array]
    # Largest difference of its correlations from ours.
    tolerance: float
    n_components: int = 30
    # A slow library runs once, in a process that a time limit ends.
    alone: bool = False

    @property
    def missing(self) -> str | None:
        """Reason why it cannot be imported, or None."""
        try:
            import_module(self.module)
        except ImportError as error:
            return str(error)
        return None


def present(peers: tuple[Peer, ...]) -> list[Peer]:
    """Return those that can be imported, and print which cannot."""
    found = []
    for peer in peers:
        if peer.missing is None:
            found.append(peer)
        else:
            print(f'{peer.name} is missing ({peer.missing}): pip install "skcca[bench]"')
    return found


def versions(peers: tuple[Peer, ...]) -> dict[str, str]:
    """Return the version of each, or "missing"."""
    return {p.name: "missing" if p.missing else version(p.name) for p in peers}


def _fit_cca_zoo(X: Array, Y: Array, n_components: int) -> Any:
    from cca_zoo.linear import CCA

    return CCA(n_components).fit([X, Y])


def _fit_statsmodels(X: Array, Y: Array, n_components: int) -> Any:
    from statsmodels.multivariate.cancorr import CanCorr

    # It has no parameter for the number of components and finds all of them.
    return CanCorr(Y, X)


def _fit_scikit_learn(X: Array, Y: Array, n_components: int) -> Any:
    from sklearn.cross_decomposition import CCA

    return CCA(n_components).fit(X, Y)


def _of_columns(U: Array, V: Array) -> Array:
    return np.array([np.corrcoef(u, v)[0, 1] for u, v in zip(U.T, V.T, strict=True)])


CCA_ZOO = Peer(
    "cca-zoo",
    "cca_zoo.linear",
    _fit_cca_zoo,
    lambda model, X, Y: _of_columns(*model.transform([X, Y])),
    1e-9,
)
STATSMODELS = Peer(
    "statsmodels",
    "statsmodels.multivariate.cancorr",
    _fit_statsmodels,
    lambda model, X, Y: np.asarray(model.cancorr)[:30],
    1e-9,
)
SCIKIT_LEARN = Peer(
    "scikit-learn",
    "sklearn.cross_decomposition",
    _fit_scikit_learn,
    lambda model, X, Y: _of_columns(*model.transform(X, Y)),
    # Its iteration stops after 500 steps, with an error of 2e-4.
    1e-3,
    n_components=5,
    alone=True,
)
PEERS = (CCA_ZOO, STATSMODELS, SCIKIT_LEARN)


class Fit(NamedTuple):
    """Seconds and correlations of one fit of a peer."""

    seconds: float
    correlations: list[float]


def fit_once(peer: Peer, X: Array, Y: Array) -> Fit:
    """Fit a peer in this process."""
    models: list[Any] = []
    taken = seconds(lambda: models.append(peer.fit(X, Y, peer.n_components)))
    return Fit(taken, peer.correlations(models[0], X, Y).tolist())


@functools.cache
def fit_apart(peer: Peer, shape: tuple[int, int, int], limit: float) -> Fit | None:
    """Fit a peer to simulated views in its own process; None if that takes too long."""
    print(f"({peer.name} alone, {shape[0]:,} rows, at most {limit:.0f} s)", flush=True)
    command = [sys.executable, "-m", "benchmarks._peers", peer.name, *map(str, shape)]
    try:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=limit)
    except subprocess.TimeoutExpired:
        return None
    return Fit(**json.loads(done.stdout))


def main() -> None:
    """Print one fit as JSON."""
    name, *shape = sys.argv[1:]
    peer = next(peer for peer in PEERS if peer.name == name)
    X, Y, _ = simulated_views(*map(int, shape))
    print(json.dumps(fit_once(peer, X, Y)._asdict()))


if __name__ == "__main__":
    main()
