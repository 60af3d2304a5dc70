"""Retrieval of handwritten digits by spoken ones: unpaired classes of unequal size.

    python -m benchmarks.spoken_digits --data-home DIR

The data are the Free Spoken Digit Dataset (official split, 2,700 / 300 recordings) and MNIST.
Recordings and images are paired by digit alone. A recording is represented by the means of ten
equal stretches of its 40 log-mel bands (400-d). The last row has the best settings of `GRID` on a
quarter of the training rows, and twice as many images.
"""

from __future__ import annotations

from benchmarks._record import Record, arguments, mean_and_deviation
from benchmarks._tasks import best_settings, digits, retrieval
from skcca import ClusterCCA, SupervisedDCCA

TUNED = {"output_activation": "identity"}
GRID = {"input_noise": [0.25, 0.5, 1.0], "activation": ["relu", "tanh"]}


def main() -> None:
    """Fit, measure, print and keep."""
    options = arguments(__doc__, seeds=5, images=10_000)
    task = digits(options.data_home, n_images=options.images)
    record = Record(
        "spoken_digits",
        "Spoken digits find handwritten digits",
        f"FSDD (2,700 recordings) and the first {options.images:,} images of MNIST, class pairs, "
        f"cosine, full-list MAP on both test sets; deep: mean of {options.seeds} seeds",
        ("speech to image", "image to speech"),
    )
    record.add("chance", [task.chance] * 2, kind="chance")
    record.add("ClusterCCA()", retrieval(ClusterCCA(), task))
    seeds = range(options.seeds)
    for name, build in (
        ("SupervisedDCCA.paper()", SupervisedDCCA.paper),
        ("SupervisedDCCA()", SupervisedDCCA),
    ):
        runs = [retrieval(build(random_state=seed), task) for seed in seeds]
        record.add(name, *mean_and_deviation(runs))
    record.add("SupervisedDCCA() must reach", (0.93, 0.93), kind="bar")
    settings, _ = best_settings(tuned, GRID, [task])
    more = digits(options.data_home, n_images=2 * options.images)
    label = f"{2 * options.images:,} images, chosen on training rows: SupervisedDCCA"
    record.add(
        label, *mean_and_deviation([retrieval(tuned(seed, **settings), more) for seed in seeds])
    )
    record.add(f"{label} must reach", (0.965, 0.965), kind="bar")
    record.save(
        "python -m benchmarks.spoken_digits",
        seeds=options.seeds,
        images=options.images,
        chosen=TUNED | settings,
    )


def tuned(seed: int, **settings: object) -> SupervisedDCCA:
    """Return a model with the given settings and the fixed ones."""
    return SupervisedDCCA(**TUNED | settings, random_state=seed)


if __name__ == "__main__":
    main()
