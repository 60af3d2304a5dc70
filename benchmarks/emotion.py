"""Quality of attention: selected seconds, emotions of music, spoken digits.

    python -m benchmarks.emotion --data-home DIR

There are three tables. For the songs of `make_music_videos` the seconds with the emotion are known,
about two stretches of half a minute. Chunks of 24 s and more always contain other seconds too, so
the best possible choice of chunks is listed beside attention. For Emotify such seconds are not
known; there a ridge regression, ten-fold, predicts the emotions that listeners felt from the mean
of the chosen frames. Spoken digits test the network behind the attention on sequences of any
length.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._record import Record, mean_and_deviation
from skcca import ChunkSelector
from skcca.datasets import load_emotify, load_spoken_digits, make_music_videos

STRATEGIES = ("attention", "middle", "random", "energy")
CHUNKS = ((3, 1), (6, 2), (9, 3))
SHORTER = ((18, 3), (36, 6))  # of 12 and of 6 seconds
PARTS = ("simulated", "emotify", "spoken")
DIGITS: dict[str, Any] = {
    "frames_per_step": 3,
    "learning_rate": 2e-3,
    "batch_size": 32,
    "max_epochs": 30,
    "dropout": 0.3,
}


def main() -> None:
    """Measure all three, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-home", help="folder of the data sets; else SKCCA_DATA")
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    seeds = range(options.seeds)
    if "simulated" in options.only:
        simulated(seeds)
    if "emotify" in options.only:
        emotify(options.data_home, seeds)
    if "spoken" in options.only:
        spoken(options.data_home, seeds)


def simulated(seeds: range) -> None:
    """Measure which share of the selected seconds carries the emotion, on songs not annotated."""
    record = Record(
        "attention_seconds",
        "Selected seconds in which the emotion is heard, simulated songs",
        f"1,200 songs of 213 to 219 s, 360 of them annotated, the others judged; {len(seeds)} "
        "seeds; chance is the share of such seconds",
        [f"{k} of {c} chunks" for c, k in CHUNKS + SHORTER],
    )
    best = "best choice there is"
    found: dict[str, list] = {name: [] for name in ("chance", best, *STRATEGIES)}
    for seed in seeds:
        data = make_music_videos(random_state=seed)
        known = np.flatnonzero(data.annotated)
        rest = np.flatnonzero(~data.annotated)
        songs, truth = [data.audio[i] for i in rest], [data.stretches[i] for i in rest]
        selector = ChunkSelector(random_state=seed, verbose=1)
        selector.fit([data.audio[i] for i in known], data.emotion[known])
        sizes = CHUNKS + SHORTER
        found["chance"].append([np.concatenate(truth).mean()] * len(sizes))
        found[best].append([best_precision(truth, c, k) for c, k in sizes])
        for strategy in STRATEGIES:
            selector.set_params(strategy=strategy)
            found[strategy].append([precision(selector, songs, truth, c, k) for c, k in sizes])
    for name, runs in found.items():
        record.add(
            name, *mean_and_deviation(runs), kind="chance" if name == "chance" else "measured"
        )
    record.add("attention must reach", [None] * len(CHUNKS) + [0.9] * len(SHORTER), kind="bar")
    record.save("python -m benchmarks.emotion --only simulated", seeds=len(seeds))


def best_precision(truth: list, n_chunks: int, k: int) -> float:
    """Return the precision of the k chunks of each song that hold most of such seconds."""
    chosen = []
    for heard in truth:
        borders = np.linspace(0, len(heard), n_chunks + 1).round().astype(int)
        chunks = [heard[a:b] for a, b in pairwise(borders)]
        chosen += sorted(chunks, key=lambda chunk: -chunk.mean())[:k]
    return float(np.concatenate(chosen).mean())


def precision(selector: ChunkSelector, songs: list, truth: list, n_chunks: int, k: int) -> float:
    """Return the share of the selected seconds in which the emotion is heard."""
    selector.set_params(n_chunks=n_chunks, k=k, aggregate="mask")
    masks = selector.transform(songs)
    return float(np.concatenate([t[m] for t, m in zip(truth, masks, strict=True)]).mean())


def emotify(data_home: str | None, seeds: range) -> None:
    """Measure how well the selected frames tell what listeners felt."""
    data = load_emotify(data_home=data_home)
    tags = data.rates / data.rates.sum(axis=1, keepdims=True)
    record = Record(
        "attention_emotify",
        "Emotify, emotions from selected seconds",
        "400 tracks; correlation of predicted and felt, mean of 9 emotions, ten-fold, "
        f"{len(seeds)} seeds of folds and networks; ridge regression on the selected frames' mean",
        [f"{k} of {c} chunks" for c, k in CHUNKS],
    )
    whole, found = [], {name: [] for name in STRATEGIES}
    for seed in seeds:
        predicted = {key: np.empty_like(data.rates) for key in _keys()}
        for train, test in KFold(10, shuffle=True, random_state=seed).split(tags):
            songs, others = [data.x[i] for i in train], [data.x[i] for i in test]
            selector = ChunkSelector(random_state=seed, max_epochs=20, dropout=0.3)
            selector.fit(songs, labels=tags[train])
            for key in _keys():
                strategy, c, k = key
                selector.set_params(strategy=strategy, n_chunks=c, k=k)
                X, X_test = selector.transform(songs), selector.transform(others)
                predicted[key][test] = ridge().fit(X, data.rates[train]).predict(X_test)
        r = {key: _mean_correlation(P, data.rates) for key, P in predicted.items()}
        whole.append([r["middle", 1, 1]] * len(CHUNKS))
        for strategy in STRATEGIES:
            found[strategy].append([r[strategy, c, k] for c, k in CHUNKS])
    record.add("all frames", *mean_and_deviation(whole))
    for name, runs in found.items():
        record.add(name, *mean_and_deviation(runs))
    record.save("python -m benchmarks.emotion --only emotify", seeds=len(seeds))


def ridge() -> Any:
    """Return the regression, whose ridge is chosen by leaving one out."""
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 16)))


def _keys() -> list[tuple[str, int, int]]:
    return [("middle", 1, 1)] + [(s, c, k) for s in STRATEGIES for c, k in CHUNKS]


def _mean_correlation(P: np.ndarray, Y: np.ndarray) -> float:
    return float(np.mean([np.corrcoef(p, y)[0, 1] for p, y in zip(P.T, Y.T, strict=True)]))


def spoken(data_home: str | None, seeds: range) -> None:
    """Measure how well the network tells spoken digits."""
    data = load_spoken_digits(data_home=data_home)
    recordings = [*data.x_train, *data.x_test]
    labels = np.concatenate([data.labels_train, data.labels_test])
    speakers = np.concatenate([data.speakers_train, data.speakers_test])
    official = np.arange(len(labels)) >= len(data.x_train)
    record = Record(
        "attention_digits",
        "Spoken digits, accuracy of the emotion network",
        f"FSDD, 3,000 recordings of ten digits by six speakers; {len(seeds)} seeds",
        ("official split", "worst speaker held out", "mean of speakers"),
    )
    runs = []
    for seed in seeds:
        accuracy = [_accuracy(recordings, labels, official, seed)]
        by_speaker = [
            _accuracy(recordings, labels, speakers == s, seed) for s in sorted(set(speakers))
        ]
        runs.append([*accuracy, min(by_speaker), np.mean(by_speaker)])
    record.add("ChunkSelector().predict_proba", *mean_and_deviation(runs))
    record.add("ChunkSelector() must reach", (0.97, None, None), kind="bar")
    record.save("python -m benchmarks.emotion --only spoken", seeds=len(seeds), settings=DIGITS)


def _accuracy(recordings: list, labels: np.ndarray, held_out: np.ndarray, seed: int) -> float:
    train, test = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    selector = ChunkSelector(**DIGITS, random_state=seed, verbose=1)
    selector.fit([recordings[i] for i in train], labels[train])
    p = selector.predict_proba([recordings[i] for i in test])
    return float(np.mean(selector.classes_[p.argmax(axis=1)] == labels[test]))


if __name__ == "__main__":
    main()
