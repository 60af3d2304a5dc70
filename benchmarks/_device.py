"""Device on which networks are measured: a GPU if there is one, otherwise threads of the CPU."""

from __future__ import annotations

import argparse
from typing import NamedTuple

import torch


class Place(NamedTuple):
    """Device, its name in tables, and whether sizes are small."""

    device: torch.device
    name: str
    quick: bool

    @property
    def on_gpu(self) -> bool:
        """Whether it is a GPU, which works asynchronously."""
        return self.device.type == "cuda"


def chosen_place(description: str) -> Place:
    """Parse ``--device``, ``--threads`` and ``--quick``, and set the threads of torch."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--device", default="auto", help="default: auto")
    parser.add_argument("--threads", type=int, default=1, help="of torch on the CPU; default: 1")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    best = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(best if options.device == "auto" else options.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{options.threads} thread(s)"
    return Place(device, name, options.quick)
