"""DNS on the wire: a query for the addresses of a name, and its answer."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import secrets
import socket
import struct

from .errors import Down

RCODES = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
A, AAAA = 1, 28


def query(number: int, name: str, kind: int) -> bytes:
    """Return a DNS query for the addresses of a name."""
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    if not all(0 < len(label) < 64 for label in labels):
        raise ValueError(f"not a name: {name}")
    coded = b"".join(bytes([len(label)]) + label for label in labels)
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + coded + struct.pack("!BHH", 0, kind, 1)


def addresses(reply: bytes, kind: int) -> list[str]:
    """Return the addresses in a DNS answer; Down if it is an error or none at all."""
    try:
        _, flags, questions, answers = struct.unpack_from("!4H", reply)
        if flags & 0xF:
            raise Down(f"DNS: {RCODES.get(flags & 0xF, f'rcode {flags & 0xF}')}")
        place, found = 12, list[str]()
        for number in range(questions + answers):
            while 0 < reply[place] < 0xC0:
                place += 1 + reply[place]
            place += 2 if reply[place] else 1
            if number < questions:
                place += 4
                continue
            type_, _, _, length = struct.unpack_from("!HHIH", reply, place)
            place += 10 + length
            if type_ == kind:
                found.append(str(ipaddress.ip_address(reply[place - length : place])))
    except (IndexError, ValueError, struct.error):
        raise Down("DNS: malformed answer") from None
    return found


class Resolver:
    """A UDP socket to a DNS server, from a port of its own if one is given; answers are told apart by the query's number."""

    def __init__(self, host: str, port: int, source: int = 0) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(0)
        self._numbers = itertools.count(secrets.randbelow(0x10000))
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        try:
            if source:
                self._socket.bind(("", source))
            self._socket.connect((host, port))
        except OSError:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket, self._readable)

    def close(self) -> None:
        """Close the socket."""
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        try:
            reply = self._socket.recv(4096)
        except BlockingIOError:
            return
        except OSError as error:
            # An ICMP message does not say to which of the queries it belongs.
            for each in self._waiting.values():
                if not each.done():
                    each.set_exception(error)
            return
        waiting = self._waiting.get(int.from_bytes(reply[:2], "big"))
        if waiting and not waiting.done() and len(reply) >= 12 and reply[2] & 0x80:
            waiting.set_result(reply)

    async def ask(self, name: str, kind: int) -> list[str]:
        """Return the addresses of a name."""
        number = next(self._numbers) & 0xFFFF
        waiting = self._waiting[number] = self._loop.create_future()
        try:
            self._socket.send(query(number, name, kind))
            return addresses(await waiting, kind)
        finally:
            del self._waiting[number]
