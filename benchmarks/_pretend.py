"""A device of pretence for torch: what a GPU asks of a program, on a machine without one.

Tensors on "pretend" hold their numbers in the memory of the host and are computed there by the
kernels of the CPU, so whatever is computed on the device is what the CPU gives, to the bit (but for
gradients of an LSTM in float64, which torch adds up in another order on the CPU). Random numbers
come from the generator of the CPU too. Like a GPU, the device

- refuses an operation on tensors of which some lie on it and others on the host;
- makes the host wait where it asks for a value, which is counted as a look, and where it copies, if
  not with ``non_blocking=True`` to the device; a wait while work is queued is a stall;
- may lack float64, as Apple's MPS does: see `without_float64`.

Streams, events and the generators of a GPU stay untested by it.

torch starts the threads of backward passes once in a process, for the devices that it knows by
then, and a forked child cannot use them. Import this module in a process of its own, before any
backward pass: importing it registers the device. torch 2.10 is the first that can.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch.utils import backend_registration

Tensor = torch.Tensor


# Counts


@dataclass
class Counts:
    """What has happened on the device so far."""

    operations: int = 0  # that compute or copy; views are free
    looks: int = 0  # at a value from the host, which has to wait for it
    to_host: int = 0
    to_host_bytes: int = 0
    to_device: int = 0
    to_device_bytes: int = 0
    stalls: int = 0  # the host waits until the device has done what is queued
    live_bytes: int = 0  # of the memory that tensors hold now
    peak_bytes: int = 0
    places: Counter[str] = field(default_factory=Counter)  # lines of the stalls

    def copy(self) -> Counts:
        """Return the counts of this moment."""
        return replace(self, places=self.places.copy())

    def since(self, before: Counts) -> Counts:
        """Return what was counted after another moment; bytes of memory are those of now."""
        summed = [name for name in vars(self) if name not in ("live_bytes", "peak_bytes", "places")]
        difference = {name: getattr(self, name) - getattr(before, name) for name in summed}
        return replace(self, places=self.places - before.places, **difference)


COUNTS = Counts()
_queued = False

# Operations that make the host wait: it asks for a value, or for the size of a result, or whether a
# decomposition has converged.
_LOOKS = {
    "_local_scalar_dense", "equal", "is_nonzero", "item", "nonzero", "masked_select", "_unique2",
    "unique_dim", "unique_consecutive", "_linalg_svd", "_linalg_eigh", "linalg_eig",
    "_linalg_check_errors", "linalg_lstsq", "allclose", "bincount", "histc",
}  # fmt: skip


def _wait() -> None:
    """Count a stall if work is queued."""
    global _queued
    if not _queued:
        return
    _queued = False
    COUNTS.stalls += 1
    # The innermost line that is neither torch's nor of this file.
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_passed_over(frame.f_code.co_filename):
        frame = frame.f_back
    place = "/".join(frame.f_code.co_filename.rsplit("/", 2)[-2:])
    COUNTS.places[f"{place}:{frame.f_lineno} {frame.f_code.co_name}"] += 1


def _is_passed_over(path: str) -> bool:
    return path == __file__ or ("/torch/" in path and "/torch/optim/" not in path)


# Memory


class _Block:
    """Memory on the device, which every tensor that shares it keeps alive."""

    def __init__(self, n_bytes: int):
        self.n_bytes = n_bytes
        COUNTS.live_bytes += n_bytes
        COUNTS.peak_bytes = max(COUNTS.peak_bytes, COUNTS.live_bytes)

    def __del__(self) -> None:
        COUNTS.live_bytes -= self.n_bytes


_BLOCKS: WeakValueDictionary[int, _Block] = WeakValueDictionary()


def _block_of(raw: Tensor) -> _Block:
    storage = raw.untyped_storage()
    block = _BLOCKS.get(storage._cdata)
    if block is None:
        block = _BLOCKS[storage._cdata] = _Block(storage.nbytes())
    return block


# Tensors

_without_float64 = False


@contextmanager
def without_float64() -> Iterator[None]:
    """Let the device refuse tensors of float64 inside the block."""
    global _without_float64
    _without_float64 = True
    try:
        yield
    finally:
        _without_float64 = False


class DeviceTensor(Tensor):
    """Tensor on the device; `raw` holds its numbers."""

    raw: Tensor
    block: _Block

    @staticmethod
    def __new__(cls, raw: Tensor) -> DeviceTensor:
        """Put a tensor of the host on the device as it is."""
        if _without_float64 and raw.dtype in (torch.float64, torch.complex128):
            raise TypeError(f"The device {DEVICE} has no {raw.dtype}; use float32.")
        tensor = Tensor._make_wrapper_subclass(
            cls,
            raw.size(),
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device=DEVICE,
        )
        tensor.raw, tensor.block = raw, _block_of(raw)
        return tensor

    __torch_function__ = torch._C._disabled_torch_function_impl

    # Type checkers know other types of these arguments than torch passes.
    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        """Run an operation of which an argument lies on the device."""
        return _run(operation, args, kwargs or {})

    @property
    def data(self) -> Tensor:
        """Return the tensor without its graph; set, it takes the numbers of another."""
        return self.detach()

    @data.setter
    def data(self, other: DeviceTensor) -> None:
        # A property for torch, and a tensor for type checkers.
        Tensor.data.__set__(self, other)  # type: ignore[attr-defined]
        self.raw, self.block = other.raw, other.block

    def numpy(self, **options: Any) -> Any:
        """Refuse, as the tensors of a GPU do."""
        raise TypeError(
            f"can't convert {DEVICE} device type tensor to numpy. Use Tensor.cpu() to copy the "
            "tensor to host memory first."
        )

    def tolist(self) -> Any:
        """Copy the numbers to the host."""
        return self.detach().cpu().tolist()

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """Copy the numbers; torch's own way would copy `raw` beside the tensor."""
        if id(self) not in memo:
            memo[id(self)] = copied = _remade(self.detach().clone(), *self._kind)
            if self.grad is not None:
                copied.grad = self.grad.__deepcopy__(memo)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickle the numbers; they come back to the device, as those of a GPU do."""
        return _remade, (self.detach().cpu(), *self._kind)

    @property
    def _kind(self) -> tuple[bool, bool]:
        """Whether it wants a gradient, and whether it is a parameter."""
        return self.requires_grad, isinstance(self, torch.nn.Parameter)


def _remade(numbers: Tensor, requires_grad: bool, is_parameter: bool) -> Tensor:
    tensor = numbers.to(DEVICE)
    if is_parameter:
        return torch.nn.Parameter(tensor, requires_grad=requires_grad)
    return tensor.requires_grad_(requires_grad)


# Operations

# Between devices: copies of everything, and places, which may lie on the host, as on CUDA.
_COPIES = ("copy_", "_to_copy", "to", "_copy_from", "_copy_from_and_resize")
_NO_WORK = ("detach", "alias", "empty", "empty_strided", "empty_like", "new_empty")
_INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_")


def _run(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operation on the numbers of its arguments; put its results where they belong."""
    name = operation._schema.name.removeprefix("aten::")
    if name == "_has_compatible_shallow_copy_type":
        # A tensor cannot change its device; torch has to make a new one.
        return isinstance(args[0], DeviceTensor) == isinstance(args[1], DeviceTensor)
    tensors = [*_tensors(args), *_tensors(list(kwargs.values()))]
    ours = [a for a in tensors if isinstance(a, DeviceTensor)]
    _check_devices(name, tensors, ours)
    wanted = _wanted_device(name, args, kwargs)
    on_device = bool(ours) if wanted is None else wanted.type == DEVICE.type
    _count(name, operation, args, kwargs, on_device)
    kwargs = {key: _nested(_to_raw, a) for key, a in kwargs.items() if key != "pin_memory"}
    results = _KERNELS.get(name, operation)(*_nested(_to_raw, args), **kwargs)
    if name in _COPIES and ours and not on_device:
        # A copy to the host has memory of its own.
        results = results.clone()
    given = {id(_to_raw(tensor)): tensor for tensor in tensors}

    def put(result: Any) -> Any:
        if not isinstance(result, Tensor):
            return result
        tensor = given.get(id(result))
        if tensor is None:
            return DeviceTensor(result) if on_device else result
        if tensor.shape != result.shape or tensor.stride() != result.stride():
            # An operation as squeeze_ has changed the shape of `raw`.
            tensor.data = DeviceTensor(result)
        return tensor

    return _nested(put, results)


def _nested(change: Callable[[Any], Any], value: Any) -> Any:
    """Return a value, or lists and tuples of them, with each changed."""
    if isinstance(value, (list, tuple)):
        return type(value)([_nested(change, part) for part in value])
    return change(value)


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _to_raw(argument: Any) -> Any:
    if isinstance(argument, DeviceTensor):
        return argument.raw
    if isinstance(argument, torch.device) and argument.type == DEVICE.type:
        return torch.device("cpu")
    return argument


def _wanted_device(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.device | None:
    """Return the device that the caller names for the result, if any."""
    if name == "copy_":
        return args[0].device
    named = [kwargs.get("device"), *args]
    return next((torch.device(a) for a in named if isinstance(a, torch.device)), None)


def _check_devices(name: str, tensors: list[Tensor], ours: list[DeviceTensor]) -> None:
    """Refuse tensors of both devices, but for numbers without a dimension, as CUDA does."""
    least = 0 if name in ("cat", "stack") else 1
    on_host = [a for a in tensors if not isinstance(a, DeviceTensor) and a.dim() >= least]
    allowed = name in _COPIES or (name in _INDEXING and isinstance(tensors[0], DeviceTensor))
    if ours and on_host and not allowed:
        raise RuntimeError(
            f"aten::{name}: Expected all tensors to be on the same device, but found at least two "
            f"devices, {DEVICE} and cpu!"
        )


def _count(
    name: str, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], on_device: bool
) -> None:
    global _queued
    places = list(_tensors(args[1:2])) if name in _INDEXING else []
    looks = name in _LOOKS or any(mask.dtype in (torch.bool, torch.uint8) for mask in places)
    source = args[1] if name == "copy_" else args[0] if name in _COPIES else None
    to_host = isinstance(source, DeviceTensor) and not on_device
    sources = places if source is None else [source] if on_device else []
    to_device = [tensor for tensor in sources if not isinstance(tensor, DeviceTensor)]
    if not operation.is_view and name not in _NO_WORK:
        COUNTS.operations += 1
        _queued = _queued or not (to_host or to_device or name == "_local_scalar_dense")
    COUNTS.looks += looks
    if to_host:
        COUNTS.to_host += 1
        COUNTS.to_host_bytes += source.nbytes
    COUNTS.to_device += len(to_device)
    COUNTS.to_device_bytes += sum(tensor.nbytes for tensor in to_device)
    non_blocking = kwargs.get("non_blocking") or (name == "copy_" and args[2:3] == (True,))
    if looks or to_host or (to_device and not non_blocking):
        _wait()


# Where torch computes otherwise on accelerators, the device takes the way of the CPU.


def _dropout(rows: Tensor, p: float, train: bool) -> tuple[Tensor, Tensor]:
    # The mask is kept with its scale.
    noise = torch.empty_like(rows).bernoulli_(1 - p).div_(1 - p)
    return rows * noise, noise


_KERNELS: dict[str, Callable[..., Any]] = {
    "native_dropout": _dropout,
    "native_dropout_backward": lambda by_output, noise, scale: by_output * noise,
}


class _LSTM(torch.autograd.Function):
    """LSTM as one operation, which it is to cuDNN and to the library of the CPU."""

    @staticmethod
    def forward(ctx: Any, settings: tuple[Any, ...], n_states: int, *tensors: Tensor) -> Any:
        ours = [t for t in tensors if isinstance(t, DeviceTensor)]
        _check_devices("lstm", list(tensors), ours)
        COUNTS.operations += 1
        with torch.enable_grad():
            raw = [t.raw.detach().requires_grad_() for t in ours]
            states, weights = raw[1 : 1 + n_states], raw[1 + n_states :]
            ctx.results = torch.lstm(raw[0], states, weights, *settings)
        ctx.raw = raw
        return tuple(DeviceTensor(result.detach()) for result in ctx.results)

    @staticmethod
    def backward(ctx: Any, *by_results: Any) -> tuple[Any, ...]:
        COUNTS.operations += 1
        by_raw = torch.autograd.grad(ctx.results, ctx.raw, [by.raw for by in by_results])
        return None, None, *map(DeviceTensor, by_raw)


def _lstm(inputs: Tensor, states: list[Tensor], weights: list[Tensor], *settings: Any) -> Any:
    return _LSTM.apply(settings, len(states), inputs, *states, *weights)


# Registration


class _Module:
    """Functions that torch asks a device for, as ``torch.pretend``."""

    _is_in_bad_fork = staticmethod(lambda: False)
    is_available = is_initialized = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 1)
    current_device = staticmethod(lambda: 0)
    device = staticmethod(lambda index: nullcontext())
    manual_seed_all = staticmethod(lambda seed: None)
    get_amp_supported_dtype = staticmethod(lambda: [torch.float16, torch.bfloat16])
    get_rng_state = staticmethod(lambda device=0: torch.get_rng_state())
    set_rng_state = staticmethod(lambda state, device=0: torch.set_rng_state(state))


backend_registration._setup_privateuseone_for_python_backend("pretend", backend_module=_Module())
DEVICE = torch.device("pretend", 0)

_all_operations = torch.library.Library("_", "IMPL")
_all_operations.fallback(
    lambda operation, *args, **kwargs: _run(operation, args, kwargs), "PrivateUse1"
)
_aten = torch.library.Library("aten", "IMPL")
# ``torch.tensor`` calls this one without the detour by `DeviceTensor`.
_aten.impl(
    "_copy_from",
    lambda source, target, non_blocking=False: _run(
        torch.ops.aten.copy_.default, (target, source, non_blocking), {}
    ),
    "PrivateUse1",
)
_aten.impl("lstm.input", _lstm, "AutogradPrivateUse1")
# torch makes these empty on the device and then resizes them, which such a tensor cannot.
_ops = torch.ops.aten
for _maker in (
    _ops.arange.default, _ops.arange.start, _ops.arange.start_step, _ops.eye.default, _ops.eye.m,
    _ops.linspace.default, _ops.randperm.default,
):  # fmt: skip
    _aten.impl(
        _maker, lambda *args, _maker=_maker, **kwargs: _run(_maker, args, kwargs), "PrivateUse1"
    )
