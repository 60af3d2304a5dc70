"""Speed of SparseCCA beside products and other libraries, supports that it finds, and penalties.

    python -m benchmarks.sparse                          # all of it
    python -m benchmarks.sparse --only speed recovery    # some of it
    python -m benchmarks.sparse --quick                  # small sizes; keeps no results

The floor of a fit is the products of its sweeps, which `floor` makes in NumPy from views that are
standardised already: Y v, X' t, X u and Y' s in each. Checks, standardisation, the first singular
vectors and the soft thresholds come on top. Times are those of the processor, of one thread:
medians over rounds in which all run in turns. The other libraries are ``pip install sparsecca`` and
cca-zoo; a slow one runs once, in a process that a time limit ends.
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

from benchmarks._record import Record
from benchmarks._simulated import planted_views
from benchmarks._timing import median, ratio, take_turns
from skcca import SparseCCA

Array = np.ndarray


class Sparse(NamedTuple):
    """A call of a library, which returns the first sparse vectors of both views."""

    name: str
    module: str
    fit: Callable[..., tuple[Array, Array]]

    @property
    def missing(self) -> bool:
        try:
            import_module(self.module)
        except ImportError:
            return True
        return False


def _fit_sparsecca(X: Array, Y: Array, penalty: float, **settings: Any) -> tuple[Array, Array]:
    import sparsecca

    u, v, _ = sparsecca.cca_pmd(X, Y, penalty, penalty, K=1, **settings)
    return u[:, 0], v[:, 0]


def _fit_cca_zoo(X: Array, Y: Array, penalty: float, **settings: Any) -> tuple[Array, Array]:
    from cca_zoo.sparse import PMDCCA

    model = PMDCCA(1, l1_bound=penalty, random_state=0).fit([X, Y])
    return model.weights_[0][:, 0], model.weights_[1][:, 0]


SPARSECCA = Sparse("sparsecca", "sparsecca", _fit_sparsecca)
CCA_ZOO = Sparse("cca-zoo", "cca_zoo.sparse", _fit_cca_zoo)
PEERS = (SPARSECCA, CCA_ZOO)


def fitted(X: Array, Y: Array, penalty: float, **settings: Any) -> SparseCCA:
    return SparseCCA(x_penalty=penalty, y_penalty=penalty, **settings).fit(X, Y)


def floor(X: Array, Y: Array, n_sweeps: int) -> Array:
    """Make the products of so many sweeps."""
    u, v = np.ones(X.shape[1]), np.ones(Y.shape[1])
    for _ in range(n_sweeps):
        u = (Y @ v) @ X
        v = (X @ u) @ Y
        # Whatever the numbers are, they stay finite.
        u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    return v


class Plan(NamedTuple):
    """The sizes of a run."""

    shapes: tuple[tuple[int, int, int], ...] = ((200, 1_000, 1_000), (100, 20_000, 5_000))
    penalties: tuple[float, ...] = (0.2, 0.1)
    rounds: int = 7
    limit: float = 60.0  # seconds for a peer that runs alone
    n_seeds: int = 6
    n_permutations: int = 20
    few: bool = False
    kept: bool = True


QUICK = Plan(
    ((60, 80, 70), (30, 400, 300)), rounds=2, n_seeds=2, n_permutations=4, few=True, kept=False
)
# Numbers of features above which the whole decomposition of sparsecca takes a process of its own.
_LARGE = 5_000


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--peer", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    # Products this small gain nothing from a second thread.
    threadpool_limits(1)
    if options.peer:
        name, *numbers = options.peer
        print(json.dumps(_seconds(name, *map(float, numbers))))
        return
    plan = QUICK if options.quick else Plan()
    for name in options.only:
        record = PARTS[name](plan)
        if plan.kept:
            known = {p.name: "missing" if p.missing else version(p.name) for p in PEERS}
            record.save("python -m benchmarks.sparse", rounds=plan.rounds, peers=known)


def speed(plan: Plan) -> Record:
    """Time fits, their floor and those of the peers, in turns."""
    record = Record(
        "sparse",
        "Speed of SparseCCA",
        "one component of standardised views, with a source that 20 and 15 features share or with "
        "none; seconds of the products of its sweeps, how many times as long the fit takes, and "
        f"the others beside the fit; processor time of one thread, medians of {plan.rounds} rounds",
        ("sweeps", "seconds", "skcca / floor", "at most", *(f"{p.name} / skcca" for p in PEERS)),
    )
    for shape, penalty in zip(plan.shapes, plan.penalties, strict=True):
        for strength in (1.0, 0.0):
            _add_speed(record, shape, penalty, strength, plan)
    return record


def _add_speed(
    record: Record, shape: tuple[int, int, int], penalty: float, strength: float, plan: Plan
) -> None:
    X, Y = (_standardised(V) for V in planted_views(*shape, 20, 15, strength=strength))
    n_sweeps = int(fitted(X, Y, penalty).n_iter_[0])
    works: dict[str, Callable[[], object]] = {
        "floor": functools.partial(floor, X, Y, n_sweeps),
        "skcca": functools.partial(fitted, X, Y, penalty),
    }
    alone = max(shape) > _LARGE
    for peer in PEERS:
        if not peer.missing and not (alone and peer is SPARSECCA):
            works[peer.name] = functools.partial(peer.fit, X, Y, penalty)
    times = take_turns(works, plan.rounds, clock=time.process_time)
    others: list[float | str] = []
    for peer in PEERS:
        if peer.name in works:
            others.append(ratio(times, peer.name, "skcca"))
        elif peer.missing:
            others.append("missing")
        else:
            others.append(
                _alone(peer, shape, penalty, strength, plan.limit, median(times, "skcca"))
            )
    n, p, q = shape
    label = f"{n} x ({p:,}, {q:,}), {'a shared source' if strength else 'unrelated'}"
    ours = n_sweeps, median(times, "floor"), ratio(times, "skcca", "floor")
    record.add(label, (*ours, None if plan.few else MOST[label], *others))
    least = [FASTER if isinstance(other, float) else None for other in others]
    if not plan.few:
        record.add(f"{label} must reach", (None, None, None, None, *least), kind="bar")


# What checks, standardisation, start and thresholds may add to the products of the sweeps.
MOST = {
    "200 x (1,000, 1,000), a shared source": 12.0,
    "200 x (1,000, 1,000), unrelated": 4.0,
    "100 x (20,000, 5,000), a shared source": 2.0,
    "100 x (20,000, 5,000), unrelated": 2.0,
}
FASTER = 5.0


def _alone(
    peer: Sparse,
    shape: tuple[int, int, int],
    penalty: float,
    strength: float,
    limit: float,
    base: float,
) -> float | str:
    """Return the ratio of a peer that runs in its own process, or what it is above."""
    print(f"({peer.name} alone, at most {limit:.0f} s)", flush=True)
    numbers = map(str, (*shape, penalty, strength))
    command = [sys.executable, "-m", "benchmarks.sparse", "--peer", peer.name, *numbers]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return f"> {limit / base:.0f}"
    return json.loads(done.stdout) / base if done.returncode == 0 else "out of memory"


def _seconds(name: str, n: float, p: float, q: float, penalty: float, strength: float) -> float:
    peer = next(peer for peer in PEERS if peer.name == name)
    X, Y = (
        _standardised(V) for V in planted_views(int(n), int(p), int(q), 20, 15, strength=strength)
    )
    start = time.process_time()
    peer.fit(X, Y, penalty)
    return time.process_time() - start


def recovery(plan: Plan) -> Record:
    """Compare supports and vectors with those of the peers."""
    record = Record(
        "sparse_recovery",
        "Supports that sparse components find",
        "100 rows of 500 and 400 features, of which 20 and 15 share a source of some strength; "
        "penalties of .17; F1 of the selected features and correlation of 2,000 new rows, means of "
        f"{plan.n_seeds} data sets; largest distance of their unit vectors from those of skcca",
        ("F1", "correlation", "distance", "at most"),
    )
    for strength in (1.0, 0.6):
        rows: dict[str, list[tuple[float, ...]]] = {"SparseCCA": []}
        for seed in range(plan.n_seeds):
            X, Y, A, B = _train_and_test(100, 500, 400, 20, 15, strength, seed)
            X, Y = _standardised(X), _standardised(Y)
            model = fitted(X, Y, 0.17, tol=1e-10)
            ours = model.x_directions_[:, 0], model.y_directions_[:, 0]
            rows["SparseCCA"].append((*_quality(*ours, A, B, (20, 15)), 0.0))
            for peer in PEERS:
                if not peer.missing:
                    settings = {"niter": 1_000} if peer is SPARSECCA else {}
                    theirs = peer.fit(X, Y, 0.17, **settings)
                    distance = max(_distance(a, b) for a, b in zip(ours, theirs, strict=True))
                    quality = _quality(*theirs, A, B, (20, 15))
                    rows.setdefault(peer.name, []).append((*quality, distance))
        for name, values in rows.items():
            f1, correlation, _ = np.mean(values, axis=0)
            distance = None if name == "SparseCCA" else np.max(values, axis=0)[-1]
            most = None if distance is None else 1e-5
            record.add(f"{name}, strength {strength:g}", (f1, correlation, distance, most))
    return record


def penalties(plan: Plan) -> Record:
    """Choose penalties by the cross-validated score and by permutations of the rows."""
    rules = ("score", "score, one standard error", "permutations")
    record = Record(
        "sparse_penalties",
        "Choice of one penalty for both views",
        "rows, features, features that share a source, and its strength; F1 of the selected "
        "features and correlation of 2,000 new rows under the penalty that each rule chooses of "
        f"{len(GRID)}: the largest score of 5 folds, the sparsest within one standard error of it, "
        "and the largest z of Fisher-transformed training correlations beside those of "
        f"{plan.n_permutations} permutations; means of {plan.n_seeds} data sets",
        [f"{rule}: {figure}" for rule in rules for figure in ("F1", "correlation")],
    )
    for n, p, q, x, y, strength in CASES[:1] if plan.few else CASES:
        values = []
        for seed in range(plan.n_seeds):
            data = _train_and_test(n, p, q, x, y, strength, seed)
            values.append(_of_rules(*data, (x, y), plan.n_permutations, seed))
        record.add(f"{n} x ({p}, {q}), {x} and {y}, {strength}", np.mean(values, axis=0))
    return record


GRID = (0.06, 0.08, 0.1, 0.13, 0.17, 0.22, 0.3, 0.4, 0.55)
CASES = (
    (100, 500, 400, 20, 15, 1.0),
    (100, 500, 400, 20, 15, 0.5),
    (50, 500, 400, 20, 15, 0.7),
    (100, 200, 150, 80, 60, 0.4),
    (100, 2000, 1000, 8, 6, 1.0),
    (400, 100, 80, 10, 8, 0.4),
)


def _of_rules(
    X: Array, Y: Array, A: Array, B: Array, support: tuple[int, int], n_permutations: int, seed: int
) -> Array:
    """Return F1 and new correlation of each rule, one after another."""
    rng, n = np.random.default_rng(seed), len(X)
    models = [fitted(X, Y, c) for c in GRID]
    folds = list(KFold(5, shuffle=True, random_state=seed).split(X))
    scores = np.array([[fitted(X[a], Y[a], c).score(X[b], Y[b]) for a, b in folds] for c in GRID])
    mean, error = scores.mean(axis=1), scores.std(axis=1, ddof=1) / np.sqrt(5)
    best = int(mean.argmax())
    orders = [rng.permutation(n) for _ in range(n_permutations)]
    null = np.arctanh([[fitted(X[o], Y, c).correlations_[0] for o in orders] for c in GRID])
    own = np.arctanh([model.correlations_[0] for model in models])
    z = (own - null.mean(axis=1)) / null.std(axis=1)
    chosen = best, int(np.argmax(mean >= mean[best] - error[best])), int(z.argmax())
    found = []
    for i in chosen:
        u, v = models[i].x_directions_[:, 0], models[i].y_directions_[:, 0]
        found.append((_f1(u, v, support), models[i].score(A, B)))
    return np.ravel(found)


def _train_and_test(
    n: int, p: int, q: int, x: int, y: int, strength: float, seed: int
) -> tuple[Array, Array, Array, Array]:
    X, Y = planted_views(n + 2_000, p, q, x, y, strength=strength, seed=seed)
    return X[:n], Y[:n], X[n:], Y[n:]


def _quality(
    u: Array, v: Array, A: Array, B: Array, support: tuple[int, int]
) -> tuple[float, float]:
    return _f1(u, v, support), float(abs(np.corrcoef(A @ u, B @ v)[0, 1]))


def _f1(u: Array, v: Array, support: tuple[int, int]) -> float:
    """Return the mean over both views of the F1 of the selected features; the first are right."""
    sides = zip((u, v), support, strict=True)
    return float(np.mean([2 * (w[:k] != 0).sum() / ((w != 0).sum() + k) for w, k in sides]))


def _distance(a: Array, b: Array) -> float:
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return float(min(np.linalg.norm(a - b), np.linalg.norm(a + b)))


def _standardised(V: Array) -> Array:
    return (V - V.mean(axis=0)) / V.std(axis=0)


PARTS = {"speed": speed, "recovery": recovery, "penalties": penalties}


if __name__ == "__main__":
    main()
