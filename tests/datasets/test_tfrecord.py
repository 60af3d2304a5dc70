"""The framing of TFRecord files: every byte is checked, and every fault has a place."""

import gzip
import io
import struct
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from tfrecord.reader import tfrecord_iterator
from tfrecord.writer import TFRecordWriter

from skcca.datasets import _tfrecord
from skcca.datasets._tfrecord import Fault, Record, batches, checksum, write_records

as_stored = pytest.mark.parametrize(
    "stored", [bytes, gzip.compress, zlib.compress], ids=["plain", "gzip", "zlib"]
)
as_compressed = pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
PAYLOADS = [b"first", b"", b"the third record is the longest one", b"last"]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.tfrecord"
    write_records(path, PAYLOADS)
    return path


def read(path):
    return [record for batch in batches(str(path)) for record in batch.records]


def payloads(path):
    return [record.data for record in read(path)]


def places():
    ends = np.cumsum([16 + len(data) for data in PAYLOADS]).tolist()
    return [0, *ends]


def test_checksum_is_masked_crc32c():
    # RFC 3720, B.4: the CRC-32C of 32 bytes of zeros is 8a9136aa.
    crc = 0x8A9136AA
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    assert checksum(bytes(32)) == struct.pack("<I", (rotated + 0xA282EAD8) % 2**32)
    for data in PAYLOADS:
        assert checksum(data) == TFRecordWriter.masked_crc(data)


def test_another_library_reads_the_records(path):
    assert [bytes(data) for data in tfrecord_iterator(str(path))] == PAYLOADS


def test_records_come_back_in_order_with_their_places(path):
    assert read(path) == [Record(*pair) for pair in zip(places()[:-1], PAYLOADS, strict=True)]


@as_stored
@pytest.mark.parametrize("size", [1, 30, 60, 10_000])
def test_batches_hold_every_record_once(path, size, stored, monkeypatch):
    path.write_bytes(stored(path.read_bytes()))
    monkeypatch.setattr(_tfrecord, "BATCH", size)
    assert payloads(path) == PAYLOADS
    assert [batch.last for batch in batches(str(path))][-1]
    assert sum(batch.last for batch in batches(str(path))) == 1


def test_a_file_that_begins_as_gzip_does_may_be_plain(tmp_path):
    (length,) = struct.unpack("<Q", b"\x1f\x8b\x08" + bytes(5))
    write_records(tmp_path / "a", [bytes(length)])
    assert (tmp_path / "a").read_bytes().startswith(b"\x1f\x8b\x08")
    assert read(tmp_path / "a") == [Record(0, bytes(length))]


@as_stored
def test_every_flipped_bit_is_a_fault_of_its_record_alone(path, stored):
    """After a wrong length nobody knows where the next record begins."""
    whole = path.read_bytes()
    starts = places()
    for position in range(len(whole)):
        record = np.searchsorted(starts, position, side="right") - 1
        for bit in range(8):
            content = bytearray(whole)
            content[position] ^= 1 << bit
            path.write_bytes(stored(content))
            found = read(path)
            fault = found.pop(record)
            assert isinstance(fault, Fault)
            assert (fault.path, fault.offset) == (str(path), starts[record])
            of_length = position - starts[record] < 12
            after = [] if of_length else PAYLOADS[record + 1 :]
            assert [record.data for record in found] == PAYLOADS[:record] + after


@as_stored
def test_every_end_within_a_record_is_a_fault(path, stored):
    whole = path.read_bytes()
    for size in set(range(len(whole))) - set(places()[1:]):
        path.write_bytes(stored(whole[:size]))
        *before, fault = read(path)
        record = np.searchsorted(places(), size, side="right") - 1
        assert isinstance(fault, Fault)
        assert fault.offset == places()[record]
        assert [record.data for record in before] == PAYLOADS[:record]


@as_compressed
def test_no_flipped_bit_of_a_compressed_file_changes_a_record(path, compress):
    whole = compress(path.read_bytes())
    for position in range(len(whole)):
        content = bytearray(whole)
        content[position] ^= 1
        path.write_bytes(content)
        found = read(path)
        kept = [record for record in found if isinstance(record, Record)]
        assert set(kept) <= set(map(Record, places(), PAYLOADS))
        # Bytes of the header say when and by which system it was compressed.
        assert len(kept) == len(PAYLOADS) or any(isinstance(each, Fault) for each in found)


@as_compressed
def test_every_end_of_a_compressed_file_is_a_fault(path, compress):
    whole = compress(path.read_bytes())
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert isinstance(read(path)[-1], Fault)


def test_a_length_beyond_the_file_takes_no_memory(path, monkeypatch):
    monkeypatch.setattr(_tfrecord, "BATCH", 1)
    length = struct.pack("<Q", 2**62)
    path.write_bytes(length + checksum(length) + b"data")
    (fault,) = read(path)
    assert "ends after 4 of its" in fault.text


@as_stored
def test_a_record_of_gigabytes_is_passed_over_in_little_memory(path, stored, monkeypatch):
    monkeypatch.setattr(_tfrecord, "LARGEST_RECORD", 1000)
    write_records(path, [b"first", bytes(10**7), b"last"])
    content = stored(path.read_bytes())
    path.write_bytes(content)
    tracemalloc.start()
    try:
        first, fault, last = read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (first.data, last.data) == (b"first", b"last")
    assert "its 10000000 bytes are more than 1000" in fault.text
    assert peak < 10**6


@as_stored
def test_open_files_and_parts_in_a_row_are_read_from_where_they_stand(path, stored):
    content = b"title" + stored(path.read_bytes())
    file = io.BytesIO(content if stored is bytes else content + stored(path.read_bytes()))
    file.seek(5)
    found = [record.data for batch in batches(file) for record in batch.records]
    assert found == PAYLOADS * (1 if stored is bytes else 2)
    assert not file.closed


def test_missing_library_names_the_cure(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    with pytest.raises(ImportError, match=r"read with google_crc32c.* skcca\[youtube8m\]"):
        read(path)
