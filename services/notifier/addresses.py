"""Which addresses people may make us call: the internet, and those private networks that the operator names.

A name is resolved once, all of its addresses are looked at, and the connection is made to one of these: nobody can answer
with a public address when it is checked and with a private one when it is called.
Source: https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Everything else of IPv6 is not, or not yet, the internet (https://www.iana.org/assignments/ipv6-address-space).
GLOBAL = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
# What Python's `is_global` lets pass: 6to4 relays (RFC 7526), protocol assignments (RFC 6890), documentation (RFC 9637).
NOT_THE_INTERNET: tuple[Network, ...] = (
    IPv4Network("192.88.99.0/24"),
    IPv4Network("192.0.0.0/24"),
    IPv6Network("3fff::/20"),
)
LOOKUPS = 32  # at once: a name server that stalls holds a thread for a while


class Forbidden(Exception):
    """A name leads to where nobody may make us call."""


def is_allowed(address: Address, networks: Sequence[Network] = ()) -> bool:
    """Whether this address may be called; `networks` are allowed whatever they are."""
    if is_named(address, networks):
        return True
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_allowed(inner, networks)
        if address not in GLOBAL or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and not is_named(address, NOT_THE_INTERNET)


def is_named(address: Address, networks: Sequence[Network]) -> bool:
    """Whether it is in one of these networks, also in IPv6's clothes."""
    plain = (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
    return any(plain in network for network in networks if network.version == plain.version)


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that this one stands for: mapped, 6to4 or NAT64."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


class Resolver:
    """Finds addresses, on threads of its own and once at a time for each name, so that a slow name delays no other."""

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        self.networks = tuple(networks)
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="resolve")
        self._looking: dict[tuple[str, int], asyncio.Future[list[Address]]] = {}

    async def resolve(self, host: str, port: int, *, named_only: bool = False) -> list[Address]:
        """Every address of a name, all of them allowed; of an address in any spelling, itself.

        With `named_only` only those networks are allowed that the operator named.

        Raises:
            Forbidden: one of them is not allowed.
            OSError: there is none.
        """
        found = await asyncio.shield(self._look(host, port))
        allowed = is_named if named_only else is_allowed
        if not all(allowed(address, self.networks) for address in found):
            raise Forbidden("this address may not be called")
        return found

    def close(self) -> None:
        """No more lookups."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _look(self, host: str, port: int) -> "asyncio.Future[list[Address]]":
        looking = self._looking.get((host, port))
        if looking is None:
            looking = asyncio.ensure_future(
                asyncio.get_running_loop().run_in_executor(self._threads, addresses_of, host, port)
            )
            self._looking[(host, port)] = looking
            looking.add_done_callback(lambda done: self._looked(host, port, done))
        return looking

    def _looked(self, host: str, port: int, done: "asyncio.Future[list[Address]]") -> None:
        del self._looking[(host, port)]
        with suppress(asyncio.CancelledError):
            done.exception()  # whoever waited has been told; if nobody did any more, nobody need be


def addresses_of(host: str, port: int) -> list[Address]:
    """What the system's resolver says. Raises OSError."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # labels that are too long, or empty
        raise OSError("this is no host name") from error
    # A scope (`%eth0`) only ever belongs to what is link-local.
    return list(dict.fromkeys(ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers))
