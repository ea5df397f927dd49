"""Reads the appliance's `.raw` by the protobuf wire format alone: nothing of the encoder is used."""

import struct

ESCAPES = {b"\x1b\x01": b"\x1b", b"\x1b\x02": b"\n", b"\x1b\x03": b"\r"}
STRING, SHORT, FLOAT, ENUM, BYTE, INT, DOUBLE = range(7)


def unescaped(line):
    result, position = b"", 0
    while position < len(line):
        pair = line[position : position + 2]
        assert line[position : position + 1] not in (b"\n", b"\r")
        result += ESCAPES[pair] if pair[:1] == b"\x1b" else pair[:1]
        position += 2 if pair[:1] == b"\x1b" else 1
    return result


def varint(data, position):
    number = shift = 0
    while True:
        byte = data[position]
        number |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if not byte & 0x80:
            return number, position


def fields(data):
    """Return (number, wire type, value) of each field of a message."""
    found, position = [], 0
    while position < len(data):
        tag, position = varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = varint(data, position)
        else:
            size = {1: 8, 5: 4}.get(wire)
            if size is None:
                assert wire == 2, f"wire type {wire}"
                size, position = varint(data, position)
            value = data[position : position + size]
            assert len(value) == size
            position += size
        found.append((number, wire, value))
    return found


def pair(data):
    known = {number: value.decode() for number, _, value in fields(data)}
    return known[1], known[2]


def signed(number):
    return (number >> 1) ^ -(number & 1)


def scalar(kind, wire, value):
    if kind == STRING:
        return value.decode()
    if kind in (SHORT, ENUM):
        assert wire == 0
        return signed(value)
    if kind == BYTE:
        return struct.unpack("<b", value)[0]
    return struct.unpack({FLOAT: "<f", INT: "<i", DOUBLE: "<d"}[kind], value)[0]


def vector(kind, values):
    if kind == STRING:
        return [value.decode() for value in values]
    (packed,) = values or [b""]
    if kind in (SHORT, ENUM):
        found, position = [], 0
        while position < len(packed):
            number, position = varint(packed, position)
            found.append(signed(number))
        return found
    if kind == BYTE:
        return list(packed)
    code = {FLOAT: "f", INT: "i", DOUBLE: "d"}[kind]
    return list(struct.unpack(f"<{len(packed) // struct.calcsize(code)}{code}", packed))


def chunk(lines):
    head = fields(unescaped(lines[0]))
    plain = {number: value for number, wire, value in head if number != 15}
    kind = plain[1]
    info = {
        "type": kind,
        "name": plain[2].decode(),
        "year": plain[3],
        "count": plain.get(4),
        "meta": dict(pair(value) for number, _, value in head if number == 15),
    }
    return info, [sample(unescaped(line), kind) for line in lines[1:]]


def sample(data, kind):
    parts = fields(data)
    numbers = [number for number, _, _ in parts]
    assert numbers == sorted(numbers)
    single = {number: (wire, value) for number, wire, value in parts if number not in (3, 7)}
    assert {1, 2} <= single.keys()
    values = [(wire, value) for number, wire, value in parts if number == 3]
    return {
        "into_year": single[1][1],
        "nanos": single[2][1],
        "val": scalar(kind, *values[0]) if kind < 7 else vector(kind - 7, [value for _, value in values]),
        "severity": single.get(4, (0, 0))[1],
        "status": single.get(5, (0, 0))[1],
        "fields": dict(pair(value) for number, _, value in parts if number == 7),
    }


def chunks(body):
    """Return (info, samples) of each chunk of a body."""
    if not body:
        return []
    assert body.endswith(b"\n")
    groups = [[]]
    for line in body[:-1].split(b"\n"):
        if line:
            groups[-1].append(line)
        else:
            groups.append([])
    return [chunk(group) for group in groups if group]
