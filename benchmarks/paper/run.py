"""Folds with one file each, so that a run that was stopped continues with the missing ones."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from benchmarks.paper.data import Videos
from benchmarks.paper.protocol import folds, run_fold
from skcca._core.progress import ProgressBar


def run(
    videos: Videos,
    folder: Path,
    *,
    n_folds: int,
    seed: int,
    n_jobs: int | None = None,
    changes: dict[str, dict] | None = None,
) -> list[dict[str, Any]]:
    """Return what every fold found, from its file where there is one.

    Raises
    ------
    ValueError
        If the folder holds folds of another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"n_videos": len(videos.audio), "n_folds": n_folds, "seed": seed}
    settings["changes"] = changes or {}
    parts = folds(len(videos.audio), n_folds, seed)
    paths = [folder / f"fold-{i}.json" for i in range(n_folds)]
    missing = [i for i, path in enumerate(paths) if not path.exists()]
    tasks = [delayed(_keep)(paths[i], settings, videos, *parts[i], seed, changes) for i in missing]
    with ProgressBar(n_folds, "folds", done=n_folds - len(missing)) as bar:
        for _ in Parallel(n_jobs=n_jobs, return_as="generator_unordered")(tasks):
            bar.step()
    found = [json.loads(path.read_text()) for path in paths]
    for path, one in zip(paths, found, strict=True):
        if one["settings"] != settings:
            raise ValueError(
                f"{path} is of another run ({one['settings']} in place of {settings}); name "
                "another folder with --out, or remove this one."
            )
    return found


def _keep(path: Path, settings: dict[str, Any], videos: Videos, *fold: Any) -> None:
    """Write the file of a fold atomically."""
    start = time.monotonic()
    found = {"settings": settings} | run_fold(videos, *fold)
    found["seconds"] = round(time.monotonic() - start)
    half = path.with_suffix(f".{os.getpid()}.part")
    half.write_text(json.dumps(found))
    half.replace(path)
