"""Speed of the emotion network beside torch's own bidirectional LSTM.

    python -m benchmarks.attention             # on the GPU where there is one, else on the CPU
    python -m benchmarks.attention --device cpu
    python -m benchmarks.attention --quick     # small; keeps no results

`nn.LSTM` runs over the same padded batches on the device and does nothing else, which is the least
work of any bidirectional recurrence over songs. `infer` also pads, mirrors, scores, pools and
copies the results to the host. The peephole recurrences compute states alone; for ragged songs they
also mirror each song at its own end, whereas `nn.LSTM` processes the padding as steps. On a GPU,
where a loop over steps waits for launches, the peephole recurrence is measured once more as
captured by torch. All run in turns in one process, on one thread; figures are medians over rounds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from benchmarks._device import chosen_place
from benchmarks._record import Record
from benchmarks._timing import median, ratio, take_turns
from skcca.nn.attention import AttentionBiLSTM, similar_lengths
from skcca.nn.songs import _STEPS_AT_ONCE, infer, pad_batch

N_SONGS, N_STEPS, N_FEATURES, HIDDEN = 10_000, 72, 128, 128
BATCH, ROUNDS = 64, 9
PEEPHOLES = {"diagonal": 3.0, "full": 4.0}  # at most so many times as long
CAPTURED = 2.0  # of cuDNN


def main() -> None:
    """Measure, print and keep."""
    place = chosen_place(__doc__ or "")
    device = place.device
    n_songs, rounds = (500, 2) if place.quick else (N_SONGS, ROUNDS)
    record = Record(
        "attention",
        "Speed of the emotion network",
        f"songs of {N_STEPS} steps, or of 24 to {N_STEPS} where ragged, of {N_FEATURES} features, "
        f"{HIDDEN} units a direction, float32, {device.type} ({place.name}); inference on "
        f"{n_songs:,} songs, the recurrences on batches of {BATCH}; the seconds of a bidirectional "
        "nn.LSTM over the same padded batches, then how many times as long the other takes",
        ("seconds", "skcca", "at most"),
    )
    rng = np.random.default_rng(0)
    for kind, shortest in (("", N_STEPS), (", ragged songs", 24)):
        lengths = rng.integers(shortest, N_STEPS + 1, size=n_songs)
        songs = [rng.normal(size=(n, N_FEATURES)).astype(np.float32) for n in lengths]
        inference(record, songs, device, rounds, kind)
        recurrences(record, songs[:BATCH], device, rounds, kind)
    if not place.quick:
        record.save("python -m benchmarks.attention", device=place.name, rounds=rounds)


def inference(
    record: Record, songs: list[np.ndarray], device: torch.device, rounds: int, kind: str
) -> None:
    """Add the row of `infer` on all songs."""
    # The network of a selector lies on the CPU, and is copied by each call.
    network, bare = network_of("lstm", torch.device("cpu")), lstm(device)
    places = similar_lengths(np.array([len(song) for song in songs]), _STEPS_AT_ONCE)
    batches = [pad_batch([songs[i] for i in batch], device)[0] for batch in places]

    @torch.no_grad()
    def states() -> None:
        for steps in batches:
            bare(steps)

    works = {"nn.LSTM": states, "infer": lambda: infer(network, songs, device)}
    add(record, f"infer{kind} / nn.LSTM", works, None if kind else 1.25, rounds, device)


def recurrences(
    record: Record, songs: list[np.ndarray], device: torch.device, rounds: int, kind: str
) -> None:
    """Add the rows of the peephole recurrences on one batch."""
    steps, lengths = pad_batch(songs, device)
    bare = lstm(device)
    for peepholes, most in PEEPHOLES.items():
        forms = {"": (network_of("peephole", device, peepholes=peepholes), most)}
        if device.type == "cuda":
            captured = network_of("peephole", device, peepholes=peepholes)
            captured.recurrence = torch.compile(captured.recurrence, mode="reduce-overhead")
            forms[", captured"] = (captured, CAPTURED)
        for form, (network, at_most) in forms.items():
            runs = {
                "nn.LSTM": lambda: bare(steps)[0].sum(),
                "peephole": lambda network=network: sum(
                    h.sum() for h in network.states(steps, lengths)
                ),
            }
            for what, way in (("inference", without_gradients), ("gradients", backward)):
                works = {name: way(run) for name, run in runs.items()}
                label = f"peephole, {peepholes}{form}{kind}, {what} / nn.LSTM"
                add(record, label, works, at_most, rounds, device)


def add(
    record: Record,
    label: str,
    works: dict[str, Callable[[], object]],
    most: float,
    rounds: int,
    device: torch.device,
) -> None:
    """Time the second work beside the first, and add their row."""
    times = take_turns({name: finished(work, device) for name, work in works.items()}, rounds)
    base, other = works
    record.add(label, (median(times, base), ratio(times, other, base), most))


def network_of(cell: str, device: torch.device, **settings: str) -> AttentionBiLSTM:
    """Return a network that never cuts memory."""
    network = AttentionBiLSTM(N_FEATURES, 5, HIDDEN, cell, **settings)
    return network.to(device).eval()


def lstm(device: torch.device) -> nn.LSTM:
    """Return the floor in training mode, because cuDNN has no gradients in evaluation mode."""
    return nn.LSTM(N_FEATURES, HIDDEN, batch_first=True, bidirectional=True).to(device)


def without_gradients(run: Callable[[], torch.Tensor]) -> Callable[[], None]:
    """Return the task of a run that keeps no graph."""

    # In inference mode parameters of a device that is written in Python have no views.
    @torch.no_grad()
    def work() -> None:
        run()

    return work


def backward(run: Callable[[], torch.Tensor]) -> Callable[[], None]:
    """Return the task of a run with gradients, which accumulate."""
    return lambda: run().backward()


def finished(work: Callable[[], object], device: torch.device) -> Callable[[], None]:
    """Return a task that waits until the device has finished it."""

    def wait() -> None:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return wait


if __name__ == "__main__":
    main()
