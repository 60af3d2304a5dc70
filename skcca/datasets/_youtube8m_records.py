"""Records of YouTube-8M: TensorFlow's messages Example and SequenceExample, without TensorFlow.

Both messages hold the features of a video in their first field; the second field of a
SequenceExample holds those of its frames. That field is declared as bytes here, and so is each
frame: the frames of a video are parsed only if the video is selected, and without an object for
every frame. Features of frames are quantised to 8 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from skcca._core.types import ArrayLike

from ._tfrecord import import_optional

WIDTHS = {"audio": 128, "rgb": 1024}


class WrongLevelError(ValueError):
    """Frames in place of means, or means in place of frames."""


class Features:
    """Record with decoded id, labels and level; frames or means are decoded on demand.

    Bytes that are no such message, or have `id` or `labels` of another type, raise ValueError.
    """

    def __init__(self, data: bytes):
        self._context, self._lists = _parsed("Record", data)
        ids = self._values("id" if "id" in self._context else "video_id", "bytes_list")
        try:
            self.id = ids[0].decode() if ids else ""
        except UnicodeDecodeError as error:
            raise ValueError(f"its `id` {ids[0]!r} is no text") from error
        self.labels = np.array(self._values("labels", "int64_list"), dtype=np.int64)
        self.has_frames = bool(self._lists)

    def frames(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the frames of sound and picture, uint8."""
        if not self.has_frames and "mean_rgb" in self._context:
            raise WrongLevelError(
                'it holds means of a video and no frames; read it with level="video"'
            )
        lists = _parsed("FeatureLists", b"".join(self._lists))[0]
        audio, rgb = (_frames(lists, name, width) for name, width in WIDTHS.items())
        if len(audio) != len(rgb):
            raise ValueError(f"`audio` has {len(audio)} frames and `rgb` {len(rgb)}")
        return audio, rgb

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the means of sound and picture over the frames, float32."""
        if self.has_frames:
            raise WrongLevelError('it holds frames; read it with level="frame"')
        audio, rgb = (self._mean(f"mean_{name}", width) for name, width in WIDTHS.items())
        return audio, rgb

    def _mean(self, name: str, width: int) -> np.ndarray:
        mean = np.array(self._values(name, "float_list"), dtype=np.float32)
        if len(mean) != width:
            raise ValueError(f"`{name}` has {len(mean)} numbers; expected {width}")
        if not np.isfinite(mean).all():
            raise ValueError(f"`{name}` holds NaN or infinity")
        return mean

    def _values(self, name: str, kind: str) -> Sequence[Any]:
        """Return the values of a feature, empty if there is no such feature."""
        if name not in self._context:
            return []
        feature = self._context[name]
        stored_kind = feature.WhichOneof("kind")
        if stored_kind not in (kind, None):
            raise ValueError(f"its `{name}` is a {stored_kind}; expected a {kind}")
        return getattr(feature, kind).value


def encode(video_id: str, labels: Iterable[int], views: Mapping[str, np.ndarray]) -> bytes:
    """Return a record: a SequenceExample of frames (T, width), an Example of means (width,)."""
    messages = _messages()
    record = messages["Record"]()
    context = record.context.feature
    context["id"].bytes_list.value.append(video_id.encode())
    context["labels"].int64_list.value.extend(map(int, labels))
    lists = messages["FeatureLists"]()
    for name, view in views.items():
        if view.ndim == 1:
            context[f"mean_{name}"].float_list.value.extend(view.tolist())
        else:
            lists.feature_list[name].feature.extend(_frame(row.tobytes()) for row in view)
    if lists.feature_list:
        record.feature_lists.append(lists.SerializeToString())
    return record.SerializeToString()


def dequantize_features(features: ArrayLike, *, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Turn YouTube-8M's 8-bit features into float32.

    Byte q stands for ``q * (high - low) / 255 + (high - low) / 512 + low``: the 256 levels are
    spread over the range and moved up by half a step, as the data set's own readers do.
    See `load_youtube8m` for the reference.

    Parameters
    ----------
    features : array-like of uint8
        Quantised features, of any shape.
    low : float, default=-2.0
        Lower end of the range that was quantised.
    high : float, default=2.0
        Upper end of the range.

    Returns
    -------
    features : ndarray of float32
        Features of the same shape.

    Raises
    ------
    TypeError
        If `features` is not uint8: numbers that were dequantised before, for example.
    ValueError
        If `low` is not below `high`.

    Examples
    --------
    >>> import numpy as np
    >>> from skcca.datasets import dequantize_features
    >>> dequantize_features(np.array([0, 100, 255], dtype=np.uint8)).round(4)
    array([-1.9922, -0.4236,  2.0078], dtype=float32)
    """
    quantised = np.asarray(features.detach() if hasattr(features, "detach") else features)
    if quantised.dtype != np.uint8:
        raise TypeError(
            f"`features` has dtype {quantised.dtype}; expected uint8, as the records store them."
        )
    # `take` releases the interpreter's lock, which indexing holds.
    return _levels(low, high).take(quantised)


def quantize_features(features: np.ndarray, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Return the byte of the nearest level for each feature, clipped to the range."""
    step = (high - low) / 255
    # Work in one copy: a collection of songs may be large.
    steps = (features - _levels(low, high)[0]) / step
    np.rint(steps, out=steps)
    return np.clip(steps, 0, 255, out=steps).astype(np.uint8)


def _levels(low: float, high: float) -> np.ndarray:
    """Return the level of each of the 256 bytes."""
    if not low < high:
        raise ValueError(f"`low`={low!r} must be below `high`={high!r}.")
    levels = np.arange(256) * ((high - low) / 255) + ((high - low) / 512 + low)
    return levels.astype(np.float32)


def _frames(lists: Any, name: str, width: int) -> np.ndarray:
    if name not in lists:
        raise ValueError(f"it has no frames `{name}` (it has {', '.join(sorted(lists)) or 'none'})")
    features = list(lists[name].feature)
    # Every serializer writes the same few bytes before each frame, so that all frames can be cut
    # out at once; parsing them one by one takes ten times as long.
    head = np.frombuffer(_frame_head(width), dtype=np.uint8)
    if set(map(len, features)) == {len(head) + width}:
        table = np.frombuffer(b"".join(features), dtype=np.uint8).reshape(len(features), -1)
        if (table[:, : len(head)] == head).all():
            return np.ascontiguousarray(table[:, len(head) :])
    return _parsed_frames(features, name, width)


def _parsed_frames(features: list[bytes], name: str, width: int) -> np.ndarray:
    """Parse the frames one by one, in any valid encoding."""
    rows = [row for data in features for row in _parsed("Feature", data)[0].value]
    sizes = set(map(len, rows))
    if len(rows) != len(features) or not sizes <= {width}:
        raise ValueError(
            f"the {len(features)} frames of `{name}` hold {len(rows)} strings of "
            f"{' or '.join(map(str, sorted(sizes))) or 'no'} bytes; expected {width} bytes a frame"
        )
    return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), width).copy()


@cache
def _frame_head(width: int) -> bytes:
    """Return the bytes that precede a frame in its encoded feature."""
    return _frame(bytes(width))[:-width]


def _frame(row: bytes) -> bytes:
    feature = _messages()["Feature"]()
    feature.bytes_list.value.append(row)
    return feature.SerializeToString()


def _parsed(name: str, data: bytes) -> list[Any]:
    """Parse a message and return its fields."""
    message_module = import_optional("google.protobuf.message")
    message_type = _messages()[name]
    try:
        message = message_type.FromString(data)
    except message_module.DecodeError as error:
        raise ValueError(f"it is no Example or SequenceExample ({error})") from error
    if name == "Record":
        return [message.context.feature, message.feature_lists]
    return [message.bytes_list if name == "Feature" else message.feature_list]


@cache
def _messages() -> dict[str, Any]:
    """Return the message types by name."""
    descriptors = import_optional("google.protobuf.descriptor_pb2")
    pools = import_optional("google.protobuf.descriptor_pool")
    factory = import_optional("google.protobuf.message_factory")
    kinds = descriptors.FieldDescriptorProto
    file = descriptors.FileDescriptorProto(
        name="skcca/youtube8m.proto", package="skcca", syntax="proto3"
    )
    messages = file.message_type

    def field(message: Any, name: str, number: int, kind: int, **more: Any) -> None:
        label = kinds.LABEL_REPEATED if more.pop("repeated", False) else kinds.LABEL_OPTIONAL
        message.field.add(name=name, number=number, type=kind, label=label, **more)

    def mapping(message: Any, name: str, entry_name: str, value: str) -> None:
        """Declare ``map<string, value> name = 1``."""
        entry = message.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        field(entry, "key", 1, kinds.TYPE_STRING)
        field(entry, "value", 2, kinds.TYPE_MESSAGE, type_name=f".skcca.{value}")
        full = f".skcca.{message.name}.{entry_name}"
        field(message, name, 1, kinds.TYPE_MESSAGE, type_name=full, repeated=True)

    lists = (
        ("BytesList", kinds.TYPE_BYTES),
        ("FloatList", kinds.TYPE_FLOAT),
        ("Int64List", kinds.TYPE_INT64),
    )
    feature = messages.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, kind) in enumerate(lists, start=1):
        field(messages.add(name=name), "value", 1, kind, repeated=True)
        options = {"type_name": f".skcca.{name}", "oneof_index": 0}
        field(feature, name.replace("List", "_list").lower(), number, kinds.TYPE_MESSAGE, **options)
    mapping(messages.add(name="Features"), "feature", "FeatureEntry", "Feature")
    feature_list = messages.add(name="FeatureList")
    # Each entry is an encoded Feature, which is left as bytes.
    field(feature_list, "feature", 1, kinds.TYPE_BYTES, repeated=True)
    feature_lists = messages.add(name="FeatureLists")
    mapping(feature_lists, "feature_list", "FeatureListEntry", "FeatureList")
    record = messages.add(name="Record")
    field(record, "context", 1, kinds.TYPE_MESSAGE, type_name=".skcca.Features")
    # A message may come in parts, which are joined; as bytes they make a repeated field.
    field(record, "feature_lists", 2, kinds.TYPE_BYTES, repeated=True)

    # TensorFlow, if it is loaded too, declares the same messages in the default pool.
    pool = pools.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: factory.GetMessageClass(pool.FindMessageTypeByName(f"skcca.{name}"))
        for name in ("Record", "FeatureLists", "Feature")
    }
