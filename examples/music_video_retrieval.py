"""Retrieval of music videos by audio of any length, from an emotion model to a search engine.

    python examples/music_video_retrieval.py
    python examples/music_video_retrieval.py --data spoken-digits --data-home ~/skcca_data
    python examples/music_video_retrieval.py --data wikipedia --data-home ~/skcca_data

1. Load or simulate sound and pictures.
2. Train an emotion model on annotated songs, which selects the chunks of a song by attention.
3. Cluster its features into emotions, starting from three annotated songs of each.
4. Fit six methods to the selected chunks and the pictures, and compare them on held-out songs,
   for which the videos of the same emotion are relevant.
5. Draw precision against recall.
6. Search the five best videos for a clip of 41 seconds.

The default data are simulated. The other data sets are real, spoken and handwritten digits, and
texts and images of Wikipedia; they run the steps that apply to them. For records of YouTube-8M, and
for the tables and figures of the paper, see ``python -m benchmarks.paper --help``.
"""

from __future__ import annotations

import os

# The variable must be set before NumPy is imported. Matrices are small here, so that several
# threads would cost more in waiting for each other than they save, above all on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from comparison import (
    STARTED,
    Comparison,
    Rows,
    Task,
    announce,
    compare,
    draw,
    embed,
    say,
    show_best,
)
from sklearn.metrics import accuracy_score, adjusted_rand_score
from sklearn.model_selection import train_test_split

from skcca import ChunkSelector, Views
from skcca.cluster import SeededKMeans
from skcca.datasets import load_mnist, load_spoken_digits, load_wikipedia, make_music_videos
from skcca.metrics import chance_map, mean_average_precision_score

# Columns of the table: k of c chunks, or the mean of the whole song.
SELECTIONS = {
    "1/3": {"n_chunks": 3, "k": 1},
    "2/6": {"n_chunks": 6, "k": 2},
    "3/9": {"n_chunks": 9, "k": 3},
    "mean": {"n_chunks": 1, "k": 1},
}
# Selection and method of the figure and of the query.
MAIN_SELECTION, MAIN_METHOD = "3/9", "SupervisedDCCA"
# Number of annotated songs from which an emotion cluster starts.
N_SEEDS = 3
CLIP = 41  # seconds
# Number of handwritten digits in the training data.
N_IMAGES = 10_000


def music_videos(options: argparse.Namespace) -> None:
    """Retrieve videos by songs of the same emotion."""
    n_songs = options.n_songs or 1200
    announce(1, f"Simulate {n_songs} music videos")
    data = make_music_videos(n_songs, random_state=options.seed)
    videos = Views(audio=data.audio, visual=data.visual)
    emotions = data.emotion_names[data.emotion]
    annotated = np.flatnonzero(data.annotated)
    others, test = train_test_split(
        np.flatnonzero(~data.annotated), test_size=0.35, random_state=options.seed
    )
    train = np.concatenate([annotated, others])

    announce(2, f"Train the emotion model on {len(annotated)} annotated songs")
    selector = train_selector(videos[annotated], emotions[annotated], options.seed)
    say_what_is_known(selector, videos[test], emotions[test])

    announce(3, f"Cluster the songs by emotion, from {N_SEEDS} annotated ones for each cluster")
    features = selector.emotion_features(videos)
    seeds = draw_seeds(emotions, annotated, options.seed)
    clusters = SeededKMeans(random_state=options.seed).fit(features[train], seeds[train])
    labels = clusters.predict(features)
    agreement = accuracy_score(emotions[test], labels[test])
    rand = adjusted_rand_score(emotions[test], labels[test])
    say(f"{agreement:.0%} of held-out songs are in the cluster of their emotion (Rand {rand:.2f});")
    say("most songs have no annotation, so relevant is from here on: of the same cluster")

    announce(4, f"Fit on {len(train)} videos; {len(test)} other songs search their videos")
    tasks = {}
    for name, selection in SELECTIONS.items():
        chosen = selector.set_params(**selection).transform(videos)
        tasks[name] = Task(
            *(Rows(*chosen[part], labels[part], labels[part]) for part in (train, test))
        )
    compared = compare(tasks, len(clusters.classes_) - 1, options.seed)
    say("a song's own video is among those ranked, and relevant")
    draw_selections(compared, "Songs find music videos", options.output)

    selector.set_params(**SELECTIONS[MAIN_SELECTION])
    search_by_clip(selector, compared.models[MAIN_SELECTION][MAIN_METHOD], data, labels, test)


def search_by_clip(
    selector: ChunkSelector, model: Any, data: Any, labels: np.ndarray, test: np.ndarray
) -> None:
    """Search by a clip of one held-out song, and score clips of all held-out songs."""
    emotions = data.emotion_names[data.emotion]
    starts = [first_second(data.stretches[i]) for i in test]
    clips = [data.audio[i][start : start + CLIP] for i, start in zip(test, starts, strict=True)]
    heard, _ = selector.transform(Views(audio=clips, visual=None))
    queries, gallery = model.transform(heard), model.transform_y(data.visual[test])

    # The rows of `test` are in random order, so that any of them is a random query.
    query = len(test) // 2
    song = test[query]
    announce(6, f"A listener records {CLIP} s of song {song}, {describe(emotions, labels, song)}")
    say(f"from second {starts[query]} on, where the emotion sets in; its five best videos:")
    names = [f"video {i}, {describe(emotions, labels, i)}" for i in test]
    names[query] += ", its own"
    show_best(queries[query], gallery, labels[song], labels[test], names)
    score = mean_average_precision_score(queries, gallery, labels[test])
    chance = chance_map(labels[test])
    say(f"such clips of all {len(test)} held-out songs: MAP {score:.3f}, chance {chance:.3f}")


def spoken_digits(options: argparse.Namespace) -> None:
    """Retrieve images of handwritten digits by spoken digits, paired by class alone."""
    # Some pixels are empty in every image, and are left out.
    warnings.filterwarnings("ignore", message=".*features that are constant")
    announce(1, "Load spoken and handwritten digits")
    spoken = load_spoken_digits(data_home=options.data_home)
    written = load_mnist(data_home=options.data_home)
    rng = np.random.default_rng(options.seed)
    heard = rng.permutation(len(spoken.x_train))[: options.n_songs]
    seen = rng.permutation(len(written.x_train))[: options.n_songs or N_IMAGES]
    recordings, digits = [spoken.x_train[i] for i in heard], spoken.labels_train[heard]
    images, image_digits = written.x_train[seen], written.labels_train[seen]
    say(f"recordings of {min(map(len, recordings)) / 100} to {max(map(len, recordings)) / 100} s")

    announce(2, f"Train the selector on {len(recordings)} recordings")
    selector = train_selector(recordings, digits, options.seed)
    say_what_is_known(selector, spoken.x_test, spoken.labels_test)

    announce(3, "No clusters are needed: relevant is the same digit")

    announce(
        4,
        f"Fit on {len(recordings)} recordings and {len(images)} images; "
        f"{len(spoken.x_test)} recordings search {len(written.x_test)} images",
    )
    say("no recording has an image of its own, so DCCA, CCA and the like pair it with a random one")
    say("of its digit; ClusterCCA and SupervisedDCCA pair all of a digit, which is what is known")
    partners = np.array([rng.choice(np.flatnonzero(image_digits == digit)) for digit in digits])
    tasks = {}
    for name, selection in SELECTIONS.items():
        selector.set_params(**selection)
        train = selector.transform(recordings), images, digits, image_digits, partners
        test = selector.transform(spoken.x_test), written.x_test
        tasks[name] = Task(Rows(*train), Rows(*test, spoken.labels_test, written.labels_test))
    compared = compare(tasks, 9, options.seed)
    draw_selections(compared, "Spoken digits find handwritten digits", options.output)

    query = int(rng.integers(len(spoken.x_test)))
    digit, speaker = spoken.labels_test[query], spoken.speakers_test[query]
    announce(6, f"The speaker {speaker} says {digit}; the five best images:")
    model = compared.models[MAIN_SELECTION][MAIN_METHOD]
    queries, gallery = embed(model, tasks[MAIN_SELECTION].test)
    names = [f"image {i}, a {label}" for i, label in enumerate(written.labels_test)]
    show_best(queries[query], gallery, digit, written.labels_test, names)


def wikipedia(options: argparse.Namespace) -> None:
    """Retrieve texts by images, and images by texts."""
    announce(1, "Load Wikipedia articles")
    data = load_wikipedia(data_home=options.data_home)
    kept = np.random.default_rng(options.seed).permutation(len(data.x_train))[: options.n_songs]
    labels = data.class_names[data.labels_train[kept]]
    test_labels = data.class_names[data.labels_test]

    announce(2, "No selector is needed: a text is no sequence here")
    announce(3, "No clusters are needed: relevant is the same topic")

    announce(
        4, f"Fit on {len(kept)} articles; {len(test_labels)} texts and images search each other"
    )
    train = Rows(data.x_train[kept], data.y_train[kept], labels, labels)
    test = Rows(data.x_test, data.y_test, test_labels, test_labels)
    ways = "image > text", "text > image"
    compared = compare({ways[0]: Task(train, test, way_back=ways[1])}, 9, options.seed)

    announce(5, "Draw precision and recall")
    draw({f"Wikipedia: {way}": compared.results[way] for way in ways}, options.output)

    query = int(np.random.default_rng(options.seed).integers(len(test_labels)))
    announce(6, f"Text {query} is on {test_labels[query]}; the five best images:")
    images, texts = embed(compared.models[ways[0]][MAIN_METHOD], test)
    names = [f"image {i}, {label}" for i, label in enumerate(test_labels)]
    show_best(texts[query], images, test_labels[query], test_labels, names)


# Steps


def train_selector(sequences: Any, labels: np.ndarray, seed: int) -> ChunkSelector:
    """Train the attention; the selection of chunks is set later, for each column."""
    return ChunkSelector(random_state=seed, verbose=1).fit(sequences, labels)


def say_what_is_known(selector: ChunkSelector, sequences: Any, labels: np.ndarray) -> None:
    """Print the accuracy of the selector's classifier on held-out sequences."""
    guesses = selector.classes_[selector.predict_proba(sequences).argmax(axis=1)]
    say(
        f"it tells {accuracy_score(labels, guesses):.1%} of held-out labels "
        f"(chance {chance_map(labels):.1%})"
    )


def draw_seeds(emotions: np.ndarray, annotated: np.ndarray, seed: int) -> np.ndarray:
    """Keep the annotations of a few songs of each emotion, and None for all others."""
    rng = np.random.default_rng(seed)
    seeds = np.full(len(emotions), None, dtype=object)
    for emotion in np.unique(emotions):
        songs = rng.choice(annotated[emotions[annotated] == emotion], N_SEEDS, replace=False)
        seeds[songs] = emotion
    return seeds


def first_second(emotional: np.ndarray) -> int:
    """Return the start of a clip: that of the emotion, or earlier near the end of the song."""
    return min(int(emotional.argmax()), len(emotional) - CLIP)


def describe(emotions: np.ndarray, labels: np.ndarray, song: int) -> str:
    """Return the emotion of a song, with that of its cluster if they differ."""
    if labels[song] == emotions[song]:
        return str(emotions[song])
    return f"{emotions[song]} (clustered as {labels[song]})"


def draw_selections(compared: Comparison, title: str, path: Path) -> None:
    """Draw all methods on the main selection, and the main method on all selections."""
    announce(5, "Draw precision and recall")
    selections = {name: results[MAIN_METHOD] for name, results in compared.results.items()}
    draw(
        {
            f"{title}, {MAIN_SELECTION} chunks": compared.results[MAIN_SELECTION],
            f"{MAIN_METHOD}, chunks selected": selections,
        },
        path,
    )


# The command


JOBS = {"simulated": music_videos, "spoken-digits": spoken_digits, "wikipedia": wikipedia}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=JOBS, default="simulated")
    parser.add_argument(
        "--data-home", type=Path, help="folder of real data (default: SKCCA_DATA or ~/skcca_data)"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("results"), help="folder of the picture"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--n-songs", type=int, help="songs to simulate, or real rows to fit on (1200; all)"
    )
    options = parser.parse_args(arguments)
    if options.n_songs is not None and options.n_songs < 100:
        parser.error(f"--n-songs is {options.n_songs}; ten classes need 100 at least")
    options.output /= f"{options.data}-precision-recall.png"
    return options


def main() -> None:
    """Run the job of the chosen data."""
    options = parse()
    try:
        JOBS[options.data](options)
    # The message names the file and a source of the data.
    except FileNotFoundError as error:
        sys.exit(str(error))
    print(f"\nDone.  ({time.perf_counter() - STARTED:.0f} s)")


if __name__ == "__main__":
    main()
