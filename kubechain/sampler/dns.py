"""DNS messages: a query for the addresses of a name, and its answer."""

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
    """Return the DNS query number `number` for records of type `kind` (A or AAAA) of a name; ValueError if it is no name."""
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    if not all(0 < len(label) < 64 for label in labels):
        raise ValueError(f"not a DNS name: {name}")
    encoded = b"".join(bytes([len(label)]) + label for label in labels)
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + encoded + struct.pack("!BHH", 0, kind, 1)


def addresses(reply: bytes, kind: int) -> list[str]:
    """Return the addresses in a DNS answer; Down if it reports an error or is malformed."""
    try:
        _, flags, questions, answers = struct.unpack_from("!4H", reply)
        if flags & 0xF:
            raise Down(f"DNS: {RCODES.get(flags & 0xF, f'rcode {flags & 0xF}')}")
        offset, found = 12, list[str]()
        for number in range(questions + answers):
            while 0 < reply[offset] < 0xC0:
                offset += 1 + reply[offset]
            offset += 2 if reply[offset] else 1
            if number < questions:
                offset += 4
                continue
            type_, _, _, length = struct.unpack_from("!HHIH", reply, offset)
            offset += 10 + length
            if type_ == kind:
                found.append(str(ipaddress.ip_address(reply[offset - length : offset])))
    except (IndexError, ValueError, struct.error):
        raise Down("DNS: malformed answer") from None
    return found


class Resolver:
    """A UDP socket to a DNS server, bound to the port `source` unless it is 0; matches answers to queries by their numbers."""

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
            # The error of an ICMP message does not say which query it answers, so that all of them fail.
            for pending in self._waiting.values():
                if not pending.done():
                    pending.set_exception(error)
            return
        pending = self._waiting.get(int.from_bytes(reply[:2], "big"))
        if pending and not pending.done() and len(reply) >= 12 and reply[2] & 0x80:
            pending.set_result(reply)

    async def lookup(self, name: str, kind: int) -> list[str]:
        """Return the addresses of a name; Down if the answer is an error, OSError if the query fails."""
        number = next(self._numbers) & 0xFFFF
        waiting = self._waiting[number] = self._loop.create_future()
        try:
            self._socket.send(query(number, name, kind))
            return addresses(await waiting, kind)
        finally:
            del self._waiting[number]
