"""Networks of one view, the rows that they take, and their outputs.

Rows lie in memory, on a disk or in sequences of any length; a `Source` standardises them and puts
them on the device of the network.
"""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from skcca._core.arrays import dense_rows
from skcca._core.lazy import LazyRows, RaggedRows
from skcca._core.standardize import Standardisation

__all__ = ["ACTIVATIONS", "MLP"]

Tensor = torch.Tensor
Network = TypeVar("Network", bound=nn.Module)
View = np.ndarray | LazyRows | RaggedRows

# Rows as a network takes them: one tensor, or a padded batch of sequences and their lengths.
NetworkInput = Tensor | tuple[Tensor, ...]

# A NetworkLike is a module, or builds one of (n_features, n_outputs); None is an `MLP`.
NetworkLike = nn.Module | Callable[[int, int], nn.Module] | None

# Rows on a disk are read in blocks, and shuffled within pools of blocks: reading them in any order
# would cost a seek for each.
BLOCK_ROWS = 1024
POOL_BLOCKS = 32

# Rows of one forward pass outside training.
_ROWS_AT_ONCE = 8192

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}


class _Float32Default:
    """Hold torch's default dtype, one of the whole process, at float32 while any block asks.

    There is no lock, which Ctrl-C could leave locked; single operations on a set are atomic.
    """

    def __init__(self) -> None:
        self._blocks: set[object] = set()
        self._before = torch.float32

    def begin(self, block: object) -> None:
        self._remember()
        self._blocks.add(block)
        # The last of other blocks may have ended in between.
        self._remember()
        torch.set_default_dtype(torch.float32)

    def _remember(self) -> None:
        dtype = torch.get_default_dtype()
        if dtype != torch.float32:
            self._before = dtype

    def end(self, block: object) -> None:
        if self._blocks == {block}:
            torch.set_default_dtype(self._before)
        self._blocks.discard(block)
        if self._blocks:
            # Another thread may have begun in between.
            torch.set_default_dtype(torch.float32)
        else:
            self._before = torch.float32

    def begin_anew(self) -> None:
        """Forget the blocks of other threads, none of which is alive in a forked child."""
        if self._blocks:
            torch.set_default_dtype(self._before)
        self.__init__()  # type: ignore[misc]


_FLOAT32_DEFAULT = _Float32Default()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_FLOAT32_DEFAULT.begin_anew)


@contextlib.contextmanager
def torch_defaults(device: torch.device) -> Iterator[None]:
    """Give a block torch as it is imported: whatever the caller has set must not change networks.

    The default dtype is float32, the default device the CPU; autocast and inference mode are off,
    and gradients are recorded.
    """
    block = object()
    try:
        _FLOAT32_DEFAULT.begin(block)
        with (
            _default_device_off(),
            _autocast_off("cpu"),
            _autocast_off(device.type),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            yield
    finally:
        twice(lambda: _FLOAT32_DEFAULT.end(block))


def _default_device_off() -> contextlib.AbstractContextManager[Any]:
    # Under a default device each operation takes longer, whichever it is.
    on_cpu = torch.empty(0).device.type == "cpu"
    return contextlib.nullcontext() if on_cpu else torch.device("cpu")


def _autocast_off(kind: str) -> contextlib.AbstractContextManager[Any]:
    if not torch.is_autocast_enabled(kind):
        return contextlib.nullcontext()
    # Its cache would outlive the steps of training, within the block of the caller.
    return torch.autocast(kind, enabled=False, cache_enabled=False)


def twice(restore: Callable[[], None]) -> None:
    """Restore a state, again if Ctrl-C interrupts the first time."""
    try:
        restore()
    finally:
        restore()


def _generators(device: torch.device) -> list[torch.Generator]:
    """Return the generators of networks on a device: that of the CPU and that of a GPU."""
    if device.type == "cuda":
        torch.cuda.init()
        index = torch.cuda.current_device() if str(device) == "cuda" else device.index
        return [torch.default_generator, torch.cuda.default_generators[index]]
    if device.type == "mps":
        return [torch.default_generator, torch.mps._get_default_mps_generator()]
    return [torch.default_generator]


def random_states(device: torch.device) -> list[Tensor]:
    """Return the states of the generators of networks on a device."""
    return [generator.get_state() for generator in _generators(device)]


def set_random_states(device: torch.device, states: list[Tensor]) -> None:
    """Set the states of the generators of networks on a device."""
    for generator, state in zip(_generators(device), states, strict=True):
        generator.set_state(state)


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed the generators of networks on a device; ``torch.manual_seed`` seeds all GPUs."""
    for generator in _generators(device):
        generator.manual_seed(seed)


def check_size(size: Any, name: str) -> None:
    """Refuse a width or a number of steps that is no positive integer."""
    if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
        raise ValueError(f"`{name}`={size!r} must be an integer of 1 or more.")


class MLP(nn.Module):
    """Fully connected network: hidden layers with activation and dropout, then an output layer.

    Parameters
    ----------
    n_features : int
        Width of the input.
    hidden_layer_sizes : sequence of int
        Width of each hidden layer; empty for a single linear layer.
    n_outputs : int
        Width of the output.
    activation : str, default="tanh"
        Activation of the hidden layers, a name of `ACTIVATIONS`.
    output_activation : str, default="sigmoid"
        Activation of the output, a name of `ACTIVATIONS`.
    dropout : float, default=0.0
        Probability of dropping a hidden unit in training.

    Examples
    --------
    >>> import torch
    >>> from skcca.nn import MLP
    >>> MLP(128, (64, 32), 10)(torch.zeros(5, 128)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        n_features: int,
        hidden_layer_sizes: Sequence[int],
        n_outputs: int,
        *,
        activation: str = "tanh",
        output_activation: str = "sigmoid",
        dropout: float = 0.0,
    ):
        for name, value in (("activation", activation), ("output_activation", output_activation)):
            if value not in ACTIVATIONS:
                raise ValueError(f"`{name}`={value!r} must be one of {sorted(ACTIVATIONS)}.")
        sizes = np.asarray(hidden_layer_sizes)
        if sizes.size and not (sizes.ndim == 1 and sizes.dtype.kind in "iu" and sizes.min() >= 1):
            raise ValueError(
                f"`hidden_layer_sizes`={hidden_layer_sizes!r} must hold integers of 1 or more."
            )
        check_size(n_features, "n_features")
        check_size(n_outputs, "n_outputs")
        layers: list[nn.Module] = []
        width = n_features
        for size in hidden_layer_sizes:
            layers += [nn.Linear(width, size), ACTIVATIONS[activation]()]
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
            width = size
        layers += [nn.Linear(width, n_outputs), ACTIVATIONS[output_activation]()]
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the features of a batch.

        Parameters
        ----------
        rows : Tensor of shape (n, n_features)
            One view of the batch.

        Returns
        -------
        features : Tensor of shape (n, n_outputs)
            Outputs of the network.
        """
        return self.layers(rows)


# Rows


class Source(Protocol):
    """Rows of one view; `on_disk` tells that they are read in blocks, not one by one."""

    on_disk: bool

    def __len__(self) -> int:
        """Return the number of rows."""

    def take(self, rows: slice | np.ndarray) -> NetworkInput:
        """Return some rows, a slice or places, as a network takes them, on its device."""


class ResidentRows:
    """Rows in memory, one tensor on the device; `on_disk` tells how they are shuffled."""

    def __init__(
        self,
        rows: np.ndarray | torch.Tensor,
        device: torch.device | str = "cpu",
        *,
        on_disk: bool = False,
    ):
        self.rows, self.on_disk = torch.as_tensor(rows, device=device), on_disk

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: slice | np.ndarray) -> torch.Tensor:
        """Return some rows, a slice or places."""
        if isinstance(rows, slice):
            return self.rows[rows]
        return self.rows[to_device(rows, self.rows.device)]


class StreamedRows:
    """Rows that are read and standardised block by block, from a disk for one.

    A row has a `shape`, as the network takes it; blocks are put on a device in a precision.
    """

    on_disk = True

    def __init__(
        self,
        V: Any,
        scaling: Standardisation,
        device: Any,
        dtype: Any,
        shape: tuple[int, ...] = (-1,),
    ):
        self.V, self.scaling, self.device, self.dtype = V, scaling, device, np.dtype(dtype)
        self.shape = shape
        self._blocks: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return int(self.V.shape[0])

    def take(self, rows: slice | np.ndarray) -> torch.Tensor:
        """Return some rows, a slice or places, standardised."""
        if isinstance(rows, slice):
            taken = self._read(rows)
        else:
            taken = np.empty((len(rows), self.V.shape[1]), dtype=self.dtype)
            blocks, places = np.divmod(rows, BLOCK_ROWS)
            for block in np.unique(blocks):
                here = blocks == block
                taken[here] = self._block(int(block))[places[here]]
        return to_device(taken, self.device).reshape(len(taken), *self.shape)

    def _block(self, block: int) -> np.ndarray:
        if block not in self._blocks:
            # A batch may reach from one pool into the next.
            while len(self._blocks) >= 2 * POOL_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
            start = block * BLOCK_ROWS
            self._blocks[block] = self._read(slice(start, min(start + BLOCK_ROWS, len(self))))
        return self._blocks[block]

    def _read(self, rows: slice) -> np.ndarray:
        return self.scaling.apply(dense_rows(self.V, rows), self.dtype)


class RaggedSource:
    """Sequences (T_i, d), padded batch by batch: a network takes a batch and its lengths."""

    on_disk = False

    def __init__(
        self, songs: Sequence[np.ndarray], scaling: Standardisation, device: Any, dtype: Any
    ):
        self.songs, self.scaling, self.device, self.dtype = songs, scaling, device, np.dtype(dtype)

    def __len__(self) -> int:
        return len(self.songs)

    def take(self, rows: slice | np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return some sequences, (n, T, d), and their lengths, (n,)."""
        songs = self.songs[rows] if isinstance(rows, slice) else [self.songs[i] for i in rows]
        scaled = [self.scaling.apply(song, self.dtype) for song in songs]
        return pad_batch(scaled, self.device, self.dtype)


class ResidentSongs:
    """Sequences that lie on the device one after another, where batches of them are padded."""

    on_disk = False

    def __init__(self, songs: Iterable[np.ndarray], lengths: np.ndarray, device: torch.device):
        # The starts and lengths; the row that pads is the last one.
        self._places = np.stack([np.cumsum(lengths) - lengths, lengths], axis=1)
        parts = list(songs)
        # In one copy, because each takes the time of thousands of frames.
        frames = np.concatenate([*parts, np.zeros_like(parts[0][:1])])
        self._frames = to_device(frames, device)

    def __len__(self) -> int:
        return len(self._places)

    def take(self, rows: slice | np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return some sequences, (n, T, d), and their lengths, (n,)."""
        places, device = self._places[rows], self._frames.device
        starts, lengths = to_device(places, device).T
        time = torch.arange(int(places[:, 1].max()), device=device)
        real = time < lengths[:, None]
        return self._frames[
            torch.where(real, starts[:, None] + time, len(self._frames) - 1)
        ], lengths


def pad_batch(
    songs: Sequence[np.ndarray], device: Any, dtype: Any = np.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the songs padded with zeros, (B, S, d), and their lengths (B,)."""
    lengths = np.array([len(song) for song in songs])
    padded = np.zeros((len(songs), lengths.max(), songs[0].shape[1]), dtype=dtype)
    for row, song in zip(padded, songs, strict=True):
        row[: len(song)] = song
    return to_device(padded, device), to_device(lengths, device)


def to_device(array: np.ndarray, device: torch.device | str) -> Tensor:
    """Return an array as a tensor on a device, without waiting for what is queued there."""
    # Apple's MPS may read the memory of the host after it was freed.
    patient = torch.device(device).type == "mps"
    return torch.as_tensor(array).to(device, non_blocking=not patient)


def fits(n_bytes: int, device: torch.device) -> bool:
    """Whether rows of this size leave half of the free memory of a GPU to the networks."""
    return device.type != "cuda" or 2 * n_bytes <= torch.cuda.mem_get_info(device)[0]


def shuffled(n_rows: int, rng: np.random.Generator, *, on_disk: bool) -> np.ndarray:
    """Return all places in random order: of more rows on a disk than a pool holds, pool by pool."""
    # Where rows lie changes the batches that they form only where reading them would take long.
    if not on_disk or n_rows <= POOL_BLOCKS * BLOCK_ROWS:
        return rng.permutation(n_rows)
    blocks = rng.permutation(-(-n_rows // BLOCK_ROWS))
    parts = []
    for start in range(0, len(blocks), POOL_BLOCKS):
        pool = [
            np.arange(b * BLOCK_ROWS, min((b + 1) * BLOCK_ROWS, n_rows))
            for b in blocks[start : start + POOL_BLOCKS]
        ]
        parts.append(rng.permutation(np.concatenate(pool)))
    return np.concatenate(parts)


class ViewFormat(NamedTuple):
    """Format in which the rows of one view reach its network."""

    scaling: Standardisation
    shape: tuple[int, ...]  # of a row; () of sequences
    dtype: np.dtype | str

    def stream(self, V: View, device: torch.device) -> Source:
        """Return rows that are standardised when a network takes them."""
        if isinstance(V, RaggedRows):
            return RaggedSource(V.songs, self.scaling, device, self.dtype)
        return StreamedRows(V, self.scaling, device, self.dtype, self.shape)

    def training_rows(self, V: View, device: torch.device) -> Source:
        """Return rows for many passes: they lie on the device where they are in memory and fit.

        A GPU also keeps sequences and rows from a disk, because a transfer would take longer than
        a step.
        """
        on_host, n_bytes = device.type == "cpu", V.nbytes
        if not fits(n_bytes, device) or (on_host and not isinstance(V, np.ndarray)):
            return self.stream(V, device)
        if isinstance(V, RaggedRows):
            lengths = np.array([len(song) for song in V.songs])
            songs = (self.scaling.apply(song, np.dtype(self.dtype)) for song in V.songs)
            return ResidentSongs(songs, lengths, device)
        if isinstance(V, LazyRows):
            source = StreamedRows(V, self.scaling, device, self.dtype, self.shape)
            blocks = [source.take(slice(i, i + BLOCK_ROWS)) for i in range(0, len(V), BLOCK_ROWS)]
            return ResidentRows(torch.cat(blocks), device, on_disk=True)
        # Held-out rows may have another precision than the network.
        rows = self.scaling.apply(V, np.dtype(self.dtype))
        return ResidentRows(rows.reshape(-1, *self.shape), device)


# Networks of rows


def build_network(
    network: NetworkLike, n_features: int, n_outputs: int, *, parameter: str, **mlp: Any
) -> nn.Module:
    """Return the network of one view: a copy of the user's module, a new module, or an `MLP`."""
    if network is None:
        return MLP(n_features, n_outputs=n_outputs, **mlp)
    if not callable(network):
        raise TypeError(
            f"`{parameter}` must be a torch.nn.Module or a callable (n_features, n_outputs); got "
            f"{network!r}."
        )
    built = network if isinstance(network, nn.Module) else network(n_features, n_outputs)
    if not isinstance(built, nn.Module):
        raise TypeError(
            f"`{parameter}` must return a torch.nn.Module; got {type(built).__name__}. It is "
            "called with (n_features, n_outputs)."
        )
    if any(part.is_meta for part in (*built.parameters(), *built.buffers())):
        raise ValueError(
            f"`{parameter}` lies on the device 'meta' and holds no numbers; make it on the CPU."
        )
    # A factory may return one network again and again.
    return copy.deepcopy(built)


def build_network_for(
    rows: Source,
    network: NetworkLike,
    n_features: int,
    n_outputs: int,
    *,
    caller: str,
    view: str,
    parameter: str,
    **mlp: Any,
) -> nn.Module:
    """Return a new network of one view, on the device of its rows, of which it takes a few."""
    first = rows.take(slice(0, 4))
    if network is None and isinstance(first, tuple):
        raise ValueError(
            f"{caller}: `{view}` holds sequences; give a network that takes a padded batch "
            f"(n, T, {n_features}) and lengths (n,), {parameter}=..., or one array of features "
            "per row: ChunkSelector makes them."
        )
    if network is None and isinstance(first, torch.Tensor) and first.ndim > 2:
        raise ValueError(
            f"{caller}: `{view}` has {first.ndim} dimensions; give a network that takes rows of "
            f"shape {tuple(first.shape[1:])}, {parameter}=..., or flatten them."
        )
    built = build_network(network, n_features, n_outputs, parameter=parameter, **mlp)
    move_to(built, first)
    check_outputs(built, first, parameter)
    return built


def build_decoder(
    network: nn.Module, rows: Source, hidden_layer_sizes: Sequence[int], activation: str
) -> nn.Module:
    """Return a network from the outputs of another to its rows, of its layers in reverse order."""
    first = rows.take(slice(0, 4))
    assert isinstance(first, torch.Tensor)
    network.eval()
    with torch.no_grad():
        width = network(first).shape[1]
    decoder = MLP(
        width,
        tuple(hidden_layer_sizes)[::-1],
        first[0].numel(),
        activation=activation,
        output_activation="identity",
    )
    return decoder.to(first.device, first.dtype)


def check_outputs(network: nn.Module, rows: NetworkInput, name: str) -> None:
    """Refuse a network whose outputs are not one row of floats per sample."""
    inputs = rows if isinstance(rows, tuple) else (rows,)
    n_rows = len(inputs[0])
    network.eval()
    copies = [part.clone() for part in inputs]
    try:
        with torch.no_grad():
            result = network(*copies)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        shapes = " and ".join(f"{tuple(part.shape)} of {part.dtype}" for part in inputs)
        raise ValueError(f"`{name}` failed on a batch of shape {shapes}: {error}") from error
    if not all(torch.equal(part, before) for part, before in zip(copies, inputs, strict=True)):
        raise ValueError(
            f"`{name}` changes its input in place (an operation as relu_ or +=); the rows are used "
            "again, so let it make new tensors."
        )
    expected = f"`{name}` must return a tensor of floats of shape ({n_rows}, width)"
    if not isinstance(result, torch.Tensor):
        raise ValueError(f"{expected}; got {type(result).__name__}.")
    fits = result.ndim == 2 and len(result) == n_rows and result.shape[1] > 0
    if not fits or result.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{expected}; got {result.dtype} of shape {tuple(result.shape)}.")
    if not torch.isfinite(result).all():
        raise ValueError(f"`{name}` returned NaN or infinity for the first rows.")


def move_to(network: nn.Module, rows: NetworkInput) -> None:
    """Move a network to the device of its rows, in their precision."""
    first = rows[0] if isinstance(rows, tuple) else rows
    network.to(first.device, first.dtype)


def device_of(network: nn.Module) -> torch.device:
    """Return the device of a network: the CPU for one without parameters."""
    return next((p.device for p in network.parameters()), torch.device("cpu"))


def outputs(*passes: tuple[nn.Module, Source]) -> list[np.ndarray]:
    """Return the outputs (n, width) of networks in evaluation mode, each for its rows."""
    found = []
    for network, source in passes:
        network.eval()
        parts = []
        with torch_defaults(device_of(network)), torch.no_grad():
            for start in range(0, len(source), _ROWS_AT_ONCE):
                rows = source.take(slice(start, min(start + _ROWS_AT_ONCE, len(source))))
                inputs = rows if isinstance(rows, tuple) else (rows,)
                parts.append(network(*inputs))
        found.append(torch.cat(parts))
    return _to_host(found)


def _to_host(tensors: list[Tensor]) -> list[np.ndarray]:
    """Return tensors of a device as arrays, after one transfer."""
    if len({(z.dtype, z.device) for z in tensors}) > 1 or tensors[0].device.type == "cpu":
        return [z.cpu().numpy() for z in tensors]
    together = torch.cat([z.flatten() for z in tensors]).cpu().numpy()
    parts = np.split(together, np.cumsum([z.numel() for z in tensors])[:-1])
    return [part.reshape(z.shape) for part, z in zip(parts, tensors, strict=True)]


def mlp_settings(built_for: dict[str, Any], side: int) -> dict[str, Any]:
    """Return the settings of the network of view 0 or 1, out of the description of both."""
    activation, output_activation = built_for["activations"]
    return {
        "hidden_layer_sizes": built_for["layers"][side],
        "activation": activation,
        "output_activation": output_activation,
        "dropout": built_for["dropout"],
    }


# Files


def to_state(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return fitted attributes without code: the weights in place of the networks."""
    return attributes | {
        "x_network_": attributes["x_network_"].state_dict(),
        "y_network_": attributes["y_network_"].state_dict(),
        "_built_for": attributes["_built_for"] | {"own networks": (None, None)},
    }


def network_of(build: Callable[[], Network], weights: dict[str, Tensor]) -> Network:
    """Return a network with the weights of a file."""
    # Made without storage, a network of a size that the file only claims takes no memory.
    with torch.device("meta"):
        network = build()
    network.load_state_dict(weights, assign=True)
    return network.eval()


def from_state(
    state: dict[str, Any], x_network: NetworkLike, y_network: NetworkLike
) -> dict[str, Any]:
    """Return the fitted attributes of a state, with networks of the user where it has some.

    Raises
    ------
    ValueError
        If the arrays cannot belong to one estimator.
    """
    # Files of version 1 have an attribute for each entry of the formats.
    if "_row_formats" not in state:
        x_format = state.pop("_x_ragged"), state.pop("_x_shape")
        y_format = state.pop("_y_ragged"), state.pop("_y_shape")
        state = state | {"_row_formats": {"x": x_format, "y": y_format}}
    built_for = state["_built_for"] | {"own networks": (x_network, y_network)}
    networks = []
    for side, (parameter, network) in enumerate(
        (("x_network", x_network), ("y_network", y_network))
    ):
        n_features, dtype = built_for["features"][side], built_for["dtypes"][side]
        build = partial(
            build_network,
            network,
            n_features,
            built_for["n_components"],
            parameter=parameter,
            **mlp_settings(built_for, side),
        )
        weights = state[f"{parameter}_"]
        if network is None:
            networks.append(network_of(build, weights))
            continue
        # A network of lower precision than the weights would round them.
        built = build().to(getattr(torch, dtype))
        built.load_state_dict(weights)
        networks.append(built.eval())
    (n_x, n_y), k = built_for["features"], state["n_components_"]
    x_width, y_width = len(state["x_weights_"]), len(state["y_weights_"])
    for name, shape in (
        ("x_mean_", (n_x,)),
        ("y_mean_", (n_y,)),
        ("x_scale_", (n_x,)),
        ("y_scale_", (n_y,)),
        ("_x_output_mean", (x_width,)),
        ("_y_output_mean", (y_width,)),
        ("x_weights_", (x_width, k)),
        ("y_weights_", (y_width, k)),
    ):
        if np.shape(state[name]) != shape:
            raise ValueError(f"`{name}` has shape {np.shape(state[name])} in place of {shape}")
    x, y = networks
    return state | {"x_network_": x, "y_network_": y, "_built_for": built_for}
