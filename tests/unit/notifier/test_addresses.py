"""Nobody can make us call a private network by any spelling, name or tunnel, unless the operator named it."""

import asyncio
import threading
from ipaddress import ip_address, ip_network

import pytest

from services.notifier import addresses
from services.notifier.addresses import Forbidden, Resolver, is_allowed

PUBLIC = ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1", "2002:101:101::1"]
PRIVATE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",  # metadata of clouds
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",  # IPv4-compatible, of long ago
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001:0:1::1",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",  # metadata over IPv6
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
OTHER_SPELLINGS = ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "[::1]", "::ffff:7f00:1"]


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_may_be_called(address: str) -> None:
    assert is_allowed(ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_everything_else_may_not(address: str) -> None:
    assert not is_allowed(ip_address(address))


def test_what_the_operator_named_may_be_called_and_nothing_beside_it() -> None:
    networks = [ip_network("10.1.0.0/16"), ip_network("fd00:1::/32")]
    allowed = ["10.1.2.3", "::ffff:10.1.2.3", "fd00:1::5"]
    assert [address for address in [*allowed, *PRIVATE] if is_allowed(ip_address(address), networks)] == allowed


@pytest.mark.parametrize("name", OTHER_SPELLINGS)
async def test_loopback_in_any_spelling_is_found_out(name: str) -> None:
    resolver = Resolver()
    with pytest.raises((Forbidden, OSError)):
        await resolver.resolve(name, 80)
    resolver.close()


async def test_one_bad_address_spoils_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "addresses_of", lambda *_: [ip_address("1.1.1.1"), ip_address("10.0.0.1")])
    resolver = Resolver()
    with pytest.raises(Forbidden):
        await resolver.resolve("example.com", 443)
    resolver.close()


async def test_only_named_networks_where_nothing_is_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "addresses_of", lambda host, port: [ip_address(host)])
    resolver = Resolver([ip_network("10.0.0.0/8")])
    assert await resolver.resolve("10.0.0.1", 80, named_only=True)
    with pytest.raises(Forbidden):
        await resolver.resolve("1.1.1.1", 80, named_only=True)
    resolver.close()


async def test_a_name_server_that_stalls_holds_one_thread_and_delays_no_other_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = threading.Event()
    asked: list[str] = []

    def look(host: str, port: int) -> list[addresses.Address]:
        asked.append(host)
        if host == "slow.example":
            answer.wait(10)
        return [ip_address("1.1.1.1")]

    monkeypatch.setattr(addresses, "addresses_of", look)
    resolver = Resolver()
    slow = [asyncio.create_task(resolver.resolve("slow.example", 443)) for _ in range(3 * addresses.LOOKUPS)]
    slow[0].cancel()  # who gives up takes nothing from the others
    assert await resolver.resolve("quick.example", 443) == [ip_address("1.1.1.1")]
    answer.set()
    found = await asyncio.gather(*slow, return_exceptions=True)
    assert found[1:] == [[ip_address("1.1.1.1")]] * (len(slow) - 1)
    assert asked.count("slow.example") == 1
    resolver.close()
