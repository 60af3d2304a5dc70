"""Selection of chunks of forty thousand songs from a memory map.

    python -m benchmarks.song_stream               # 4.1 GiB in a temporary folder
    python -m benchmarks.song_stream --songs 4000  # a small run; keeps no results

The file is deleted afterwards. Anonymous memory is sampled from outside the process, as in
`out_of_core`; pages of the map are not counted, since the kernel can reclaim them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks._memory import MIB, ON_LINUX, anonymous_memory, sampled_run
from benchmarks._record import Record
from benchmarks._timing import seconds
from skcca import ChunkSelector

SONGS, N_FRAMES, N_FEATURES = 40_000, 216, 128
MOST = 256  # MiB
_BLOCK = 1_000


def main() -> None:
    """Make the file, measure, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--songs", type=int, default=SONGS, help=f"default: {SONGS:,}")
    parser.add_argument("--folder", help="where the file is made; default: a temporary one")
    parser.add_argument("--transform", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.transform:
        print(json.dumps(measure_here(options.transform[0], int(options.transform[1]))))
        return
    if not ON_LINUX:
        raise SystemExit("Anonymous memory is read from Linux's /proc, which is not here.")
    record = Record(
        "song_stream",
        "Songs from a memory map through ChunkSelector.transform",
        f"{N_FRAMES} frames of {N_FEATURES} features in float32; MiB that are returned, and of "
        "anonymous memory above that before",
        ("seconds", "GiB of songs", "MiB returned", "anonymous MiB", "at most"),
    )
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="skcca-") as folder:
        path = make_file(Path(folder), options.songs)
        for n_songs in (options.songs // 4, options.songs):
            command = [sys.executable, "-m", "benchmarks.song_stream", "--transform", str(path)]
            found, peak = sampled_run([*command, str(n_songs)])
            size = 4 * n_songs * N_FRAMES * N_FEATURES / 2**30
            above = (peak - found["before"]) / MIB
            row = (found["seconds"], size, found["returned"] / MIB, above, MOST)
            record.add(f"{n_songs:,} songs", row)
    if options.songs == SONGS:
        record.save("python -m benchmarks.song_stream")


def make_file(folder: Path, n_songs: int) -> Path:
    """Write songs of noise."""
    shape = (n_songs, N_FRAMES, N_FEATURES)
    songs = np.lib.format.open_memmap(folder / "songs.npy", "w+", np.float32, shape)
    rng = np.random.default_rng(0)
    block = rng.standard_normal((_BLOCK, *shape[1:]), dtype=np.float32)
    for start in range(0, n_songs, _BLOCK):
        songs[start : start + _BLOCK] = block[: n_songs - start]
    songs.flush()
    return folder / "songs.npy"


def measure_here(path: str, n_songs: int) -> dict[str, float]:
    """Transform the first songs of the file in this process."""
    songs = np.load(path, mmap_mode="r")[:n_songs]
    selector = ChunkSelector(max_epochs=1, random_state=0).fit(songs[:64], np.arange(64) % 2)
    before = anonymous_memory()
    rows = []
    taken = seconds(lambda: rows.append(selector.transform(songs)))
    return {"seconds": taken, "before": before, "returned": rows[0].nbytes}


if __name__ == "__main__":
    main()
