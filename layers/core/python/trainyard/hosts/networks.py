"""Which addresses of the network are open to everybody, and which lead into somebody's house."""

from __future__ import annotations

import ipaddress
import re

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

# https://www.iana.org/assignments/ipv6-address-space: the only part of IPv6 that is handed out for the internet.
_UNICAST = ipaddress.ip_network("2000::/3")
# Carry an IPv4 address inside, to which a gateway on the way would deliver: 6to4, and NAT64 (RFC 6052).
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Set aside for protocols, where clouds put their metadata, too; and relays of 6to4. Older Pythons call them global.
_PROTOCOLS = ipaddress.ip_network("192.0.0.0/24")
_RELAYS = ipaddress.ip_network("192.88.99.0/24")
# The last part of a name that some program somewhere reads as a number (https://url.spec.whatwg.org/#ends-in-a-number).
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE | re.ASCII)


def ip_address(host: str) -> _Ip | None:
    """The address that `host` spells in the usual way; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_disguised(host: str) -> bool:
    """Whether `host` is an address in another spelling than the usual one: 2130706433, 0x7f.1, 0177.0.0.1."""
    return ip_address(host) is None and _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]) is not None


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine itself, by its name or by its address."""
    address = ip_address(host)
    return host == "localhost" if address is None else _plain(address).is_loopback


def is_public(host: str) -> bool:
    """Whether that address is one of the internet's: not private, local to a link or machine, reserved, or many's.

    ValueError for what is no address.
    """
    address = _plain(ipaddress.ip_address(host))
    if isinstance(address, ipaddress.IPv4Address):
        set_aside = address.is_multicast or address in _PROTOCOLS or address in _RELAYS
        return address.is_global and not set_aside
    if address in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
    return address in _UNICAST and address.is_global and address not in _SIX_TO_FOUR


def _plain(address: _Ip) -> _Ip:
    """The IPv4 address that the system would really talk to, where one is mapped into IPv6."""
    return getattr(address, "ipv4_mapped", None) or address
