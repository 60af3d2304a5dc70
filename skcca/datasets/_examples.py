"""YouTube-8M's records: TensorFlow's messages Example and SequenceExample, without TensorFlow.

Both messages hold the features of a video in their first field; the second field of a
SequenceExample holds those of its frames. Here that field is bytes at first, and so is each frame:
a video that is not wanted costs no frames, and one that is wanted few objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ._tfrecord import optional

WIDTHS = {"audio": 128, "rgb": 1024}


class Video(NamedTuple):
    """A video as its record holds it."""

    id: str
    labels: np.ndarray
    audio: np.ndarray  # frames (T, 128) of uint8, or their mean (128,) of float32
    rgb: np.ndarray  # (T, 1024) or (1024,)


class WrongLevelError(ValueError):
    """Frames were expected and means found, or the other way round."""


class Features:
    """A record of which id, labels and level are decoded, and the rest when it is asked for.

    Parameters
    ----------
    data : bytes
        The record.

    Raises
    ------
    ValueError
        If the bytes are no such message, or `id` and `labels` not what they should be.
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
        """Return the frames of sound and picture as the bytes that they are."""
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
        """Return the means over the frames of sound and picture."""
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

    def _values(self, name: str, kind: str) -> Any:
        """Return the values of a feature; none where there is no such feature."""
        if name not in self._context:
            return []
        feature = self._context[name]
        found = feature.WhichOneof("kind")
        if found not in (kind, None):
            raise ValueError(f"its `{name}` is a {found}; expected a {kind}")
        return getattr(feature, kind).value


def encode(
    video_id: str,
    labels: Iterable[int],
    *,
    frames: Mapping[str, np.ndarray] | None = None,
    means: Mapping[str, np.ndarray] | None = None,
) -> bytes:
    """Return a video as a record, a SequenceExample with frames and an Example without."""
    messages = _messages()
    record = messages["Record"]()
    context = record.context.feature
    context["id"].bytes_list.value.append(video_id.encode())
    context["labels"].int64_list.value.extend(map(int, labels))
    for name, mean in (means or {}).items():
        context[f"mean_{name}"].float_list.value.extend(mean.tolist())
    if frames is not None:
        lists = messages["FeatureLists"]()
        for name, rows in frames.items():
            lists.feature_list[name].feature.extend(_frame(row.tobytes()) for row in rows)
        record.feature_lists.append(lists.SerializeToString())
    return record.SerializeToString()


def _frames(lists: Any, name: str, width: int) -> np.ndarray:
    if name not in lists:
        raise ValueError(f"it has no frames `{name}` (it has {', '.join(sorted(lists)) or 'none'})")
    features = list(lists[name].feature)
    # As written by every serializer: the same few bytes before each frame. Parsing them one by one
    # takes ten times as long.
    head = np.frombuffer(_frame_head(width), dtype=np.uint8)
    if set(map(len, features)) == {len(head) + width}:
        table = np.frombuffer(b"".join(features), dtype=np.uint8).reshape(len(features), -1)
        if (table[:, : len(head)] == head).all():
            return np.ascontiguousarray(table[:, len(head) :])
    return _parsed_frames(features, name, width)


def _parsed_frames(features: list[bytes], name: str, width: int) -> np.ndarray:
    """Return the frames of features that are written in any way."""
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
    """Return what precedes the bytes of a frame in its feature."""
    return _frame(bytes(width))[:-width]


def _frame(row: bytes) -> bytes:
    feature = _messages()["Feature"]()
    feature.bytes_list.value.append(row)
    return feature.SerializeToString()


def _parsed(name: str, data: bytes) -> list[Any]:
    """Return the fields of a message."""
    message_module = optional("google.protobuf.message")
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
    """Return the types of the messages.

    They stand in a pool of their own: TensorFlow, in the same process, declares the same ones.
    """
    descriptors = optional("google.protobuf.descriptor_pb2")
    pools = optional("google.protobuf.descriptor_pool")
    factory = optional("google.protobuf.message_factory")
    kinds = descriptors.FieldDescriptorProto
    file = descriptors.FileDescriptorProto(
        name="skcca/youtube8m.proto", package="skcca", syntax="proto3"
    )

    def declare(parent: Any, name: str) -> Any:
        return parent.add(name=name)

    def field(message: Any, name: str, number: int, kind: int, **more: Any) -> None:
        label = kinds.LABEL_REPEATED if more.pop("repeated", False) else kinds.LABEL_OPTIONAL
        message.field.add(name=name, number=number, type=kind, label=label, **more)

    def mapping(message: Any, name: str, entry_name: str, value: str) -> None:
        """Declare ``map<string, value> name = 1``."""
        entry = declare(message.nested_type, entry_name)
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
    feature = declare(file.message_type, "Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, kind) in enumerate(lists, start=1):
        field(declare(file.message_type, name), "value", 1, kind, repeated=True)
        places = {"type_name": f".skcca.{name}", "oneof_index": 0}
        field(feature, name.replace("List", "_list").lower(), number, kinds.TYPE_MESSAGE, **places)
    mapping(declare(file.message_type, "Features"), "feature", "FeatureEntry", "Feature")
    feature_list = declare(file.message_type, "FeatureList")
    field(feature_list, "feature", 1, kinds.TYPE_BYTES, repeated=True)  # a Feature each
    feature_lists = declare(file.message_type, "FeatureLists")
    mapping(feature_lists, "feature_list", "FeatureListEntry", "FeatureList")
    record = declare(file.message_type, "Record")
    field(record, "context", 1, kinds.TYPE_MESSAGE, type_name=".skcca.Features")
    # Repeated, because the parts of a message that comes in parts are joined.
    field(record, "feature_lists", 2, kinds.TYPE_BYTES, repeated=True)

    pool = pools.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: factory.GetMessageClass(pool.FindMessageTypeByName(f"skcca.{name}"))
        for name in ("Record", "FeatureLists", "Feature")
    }
