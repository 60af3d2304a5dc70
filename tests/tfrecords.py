"""TFRecord files of simulated videos, written by a library other than the one under test."""

import numpy as np
from tfrecord.writer import TFRecordWriter

WIDTHS = {"audio": 128, "rgb": 1024}


def frames(length, seed=0):
    """Return the bytes of sound and picture of a video."""
    rng = np.random.default_rng(seed)
    return {name: rng.integers(0, 256, (length, d), dtype=np.uint8) for name, d in WIDTHS.items()}


def frame_record(video_id, labels, views):
    """Return the arguments that make the writer write a SequenceExample."""
    context = {"id": (video_id.encode(), "byte"), "labels": (list(labels), "int")}
    rows = {name: ([row.tobytes() for row in view], "byte") for name, view in views.items()}
    return context, rows


def video_record(video_id, labels, means):
    """Return the arguments that make the writer write an Example."""
    context, _ = frame_record(video_id, labels, {})
    context |= {f"mean_{name}": (mean.tolist(), "float") for name, mean in means.items()}
    return (context,)


def write(path, *records):
    """Write records; return the byte at which each begins, and the end of the last."""
    writer = TFRecordWriter(str(path))
    places = []
    for record in records:
        places.append(writer.file.tell())
        writer.write(*record)
    places.append(writer.file.tell())
    writer.close()
    return places


def flip(path, position, bit=0):
    """Invert a bit of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)
