"""Bodies that are not whole, too long or compressed: whatever arrives is kept."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import time
import zlib

import pytest

from airflow_provider_sms.transport.failures import NoAnswer
from airflow_provider_sms.wire import WireRequest

CANARY = "canary-7f3a"
ASK = WireRequest("GET", "/ask", f"pwd={CANARY}")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def reset(connection):
    """Close with RST in place of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# --- bodies that are not whole ---


BODY = b"138,1;139,2;"
#: Pieces of an answer, and whether each is body.
FRAMINGS = {
    "length": [(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", False), (BODY, True)],
    "chunked": [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", False),
        (BODY[:5], True),
        (b"\r\n7;x=y\r\n", False),
        (BODY[5:], True),
        (b"\r\n0\r\n\r\n", False),
    ],
    "close": [(b"HTTP/1.1 200 OK\r\n\r\n", False), (BODY, True)],
    "old": [(b"HTTP/1.0 200 OK\r\n\r\n", False), (BODY, True)],
}


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_body_cut_at_any_byte_keeps_what_arrived(serve, transport, framing, fresh):
    """All that came is there, and the cut is noticed wherever the framing can tell."""
    pieces = FRAMINGS[framing]
    wire = b"".join(piece for piece, _ in pieces)
    is_body = b"".join((b"b" if body else b".") * len(piece) for piece, body in pieces)
    head = wire.index(b"\r\n\r\n") + 4

    def play(peer, connection, number):
        peer.listen(connection)
        connection.sendall(wire[: number - 1])

    client = transport(serve(play).url)
    for cut in range(len(wire) + 1):
        if cut < head:
            with pytest.raises(NoAnswer, match="closed before an answer") as raised:
                client.exchange(ASK, fresh=fresh)
            assert not raised.value.surely_not_sent
            continue
        answer = client.exchange(ASK, fresh=fresh)
        expected = bytes(byte for byte, kind in zip(wire[:cut], is_body, strict=False) if kind == ord("b"))
        assert answer.body == expected
        whole = cut == len(wire) or framing in {"close", "old"}
        assert (answer.complete, answer.problem) == (
            (True, "")
            if whole
            else (False, f"the connection was cut after {len(expected)} bytes of the answer's body")
        )


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_reset_keeps_what_arrived_and_is_noticed(serve, transport, framing):
    """Even where only the closed connection ends the body: a reset is no end."""
    wire = b"".join(piece for piece, _ in FRAMINGS[framing])

    def play(peer, connection, _):
        peer.listen(connection)
        connection.sendall(wire[: wire.index(BODY[:5]) + 5])
        time.sleep(0.1)
        reset(connection)

    answer = transport(serve(play).url).exchange(ASK)
    assert answer.body == BODY[:5]
    assert not answer.complete
    assert answer.problem == "the connection was cut after 5 bytes of the answer's body"


def test_broken_chunks_keep_what_came_before(serve, transport):
    wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n138,1\r\nnonsense\r\n"
    answer = transport(serve.once(wire).url).exchange(ASK)
    assert (answer.body, answer.complete) == (b"138,1", False)
    assert answer.problem == "the answer breaks the rules of HTTP after 5 bytes of its body"


def test_a_body_is_kept_up_to_the_limit_of_bytes(serve, transport):
    """An endless one ends there, and so does its connection."""
    gone = threading.Event()

    def play(peer, connection, _):
        peer.listen(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                connection.sendall(b"x" * 65536)
        except OSError:
            gone.set()

    answer = transport(serve(play).url).exchange(ASK, max_bytes=100_001)
    assert answer.body == b"x" * 100_001
    assert answer.problem == "the answer is longer than 100001 bytes; the rest was not read"
    assert not answer.complete
    assert gone.wait(2)


@pytest.mark.parametrize(("limit", "complete"), [(1, False), (2, True), (3, True)])
def test_the_limit_itself_is_allowed(serve, transport, limit, complete):
    answer = transport(serve.always(OK).url).exchange(ASK, max_bytes=limit)
    assert (answer.body, answer.complete) == (b"ok"[:limit], complete)


# --- compression that nobody asked for ---


def _raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


LONG = b"".join(b"%d,13800138000;" % number for number in range(2000))
CODINGS = {
    "gzip": gzip.compress(LONG),
    "x-gzip": gzip.compress(LONG[:100]) + gzip.compress(LONG[100:]),
    "deflate": zlib.compress(LONG),
    "Deflate": _raw_deflate(LONG),
}


def _packed(coding, data, length=None):
    length = len(data) if length is None else length
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        coding.encode(),
        length,
        data,
    )


@pytest.mark.parametrize("coding", CODINGS)
def test_a_compressed_body_is_unfolded(serve, transport, coding):
    answer = transport(serve.always(_packed(coding, CODINGS[coding])).url).exchange(ASK)
    assert (answer.body == LONG, answer.complete) == (True, True)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_compressed_body_that_was_cut_is_unfolded_as_far_as_it_goes(serve, transport, coding):
    data = CODINGS[coding]
    answer = transport(serve.once(_packed(coding, data[:-300], len(data))).url).exchange(ASK)
    assert LONG.startswith(answer.body)
    assert len(answer.body) > len(LONG) // 2
    assert answer.problem.startswith("the connection was cut")


def test_a_compressed_body_that_ends_early_is_noticed_although_its_length_is_right(serve, transport):
    answer = transport(serve.always(_packed("gzip", CODINGS["gzip"][:-300])).url).exchange(ASK)
    assert LONG.startswith(answer.body)
    assert (answer.complete, answer.problem) == (False, "the compressed answer ends early")


def test_a_small_body_that_unfolds_to_anything_ends_at_the_limit(serve, transport):
    bomb = gzip.compress(b"0" * 50_000_000)
    answer = transport(serve.always(_packed("gzip", bomb)).url).exchange(ASK, max_bytes=100_000)
    assert answer.body == b"0" * 100_000
    assert answer.problem == "the answer unfolds to more than 100000 bytes"


@pytest.mark.parametrize(("coding", "data"), [("br", b"\x0b\x01"), ("gzip", b"no gzip"), ("gzip, br", b"x")])
def test_what_cannot_be_unfolded_is_kept_as_it_came(serve, transport, coding, data):
    """The bytes are the only copy."""
    answer = transport(serve.always(_packed(coding, data)).url).exchange(ASK)
    assert (answer.body, answer.complete) == (data, False)
    assert answer.problem == "the answer's coding is unreadable"
