"""Nothing that is not of the public net is ever connected to, whatever a name says and when it says it."""

from ipaddress import ip_address

import pytest

from app.notifications.webhooks.addresses import Address, is_public, is_public_or_own
from app.notifications.webhooks.errors import WebhookUrlRefused
from app.notifications.webhooks.sending import Reach, post
from app.notifications.webhooks.urls import normalised_url
from tests.app.notifications.webhooks.receiver import HOST, receiver
from tests.conftest import NOW

NEVER = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200"),  # noqa: S104 - refused
    *("100.127.255.255", "127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254"),
    *("169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.0.192", "192.0.2.1"),
    *("192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8"),
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::"),
    *("2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1"),
    *("fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "2400:3200::1%eth0", "fec0::1", "ff02::1"),
    "4000::1",
)
ALLOWED = ("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0")
ALLOWED_6 = ("2001:200::1", "2400:3200::1", "2606:4700::1111", "240e::1", "2a00:1450::1")


@pytest.mark.parametrize("text", NEVER)
def test_an_address_that_is_not_everybodys_is_never_connected_to(text: str) -> None:
    with receiver() as server:
        reach = Reach(resolve=lambda _host, _port: [ip_address(text)], trust=server.reach.trust)
        assert post(server.url, {}, b"{}", reach=reach, now=NOW).outcome == "forbidden"
        assert server.connections == 0
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", [*ALLOWED, *ALLOWED_6])
def test_everybodys_addresses_are_allowed(text: str) -> None:
    assert is_public(ip_address(text))


def test_a_developers_own_machine_is_one_address_more_and_no_other() -> None:
    let_in = [text for text in NEVER if is_public_or_own(ip_address(text))]
    assert let_in == ["127.0.0.1"]


def test_one_address_that_is_not_allowed_spoils_the_name() -> None:
    with receiver() as server:
        mixed: list[Address] = [ip_address("127.0.0.1"), ip_address("10.0.0.1")]
        reach = Reach(allows=is_public_or_own, resolve=lambda _host, _port: mixed, trust=server.reach.trust)
        assert post(server.url, {}, b"{}", reach=reach, now=NOW).outcome == "forbidden"
        assert server.connections == 0


def test_a_name_that_leads_elsewhere_the_second_time_is_asked_once() -> None:
    """Rebinding: the resolver first says what is allowed, then what is not; or the other way round."""
    asked: list[tuple[str, int]] = []

    def rebinding(host: str, port: int) -> list[Address]:
        asked.append((host, port))
        return [ip_address("127.0.0.1" if len(asked) % 2 else "10.0.0.1")]

    with receiver() as server:
        reach = Reach(allows=is_public_or_own, resolve=rebinding, trust=server.reach.trust)
        assert post(server.url, {}, b"{}", reach=reach, now=NOW).outcome == "delivered"
        assert asked == [(HOST, server.port)]
        assert server.connections == 1
        assert post(server.url, {}, b"{}", reach=reach, now=NOW).outcome == "forbidden"
        assert server.connections == 1


def test_neither_resolver_nor_environment_brings_a_sender_to_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the product's own reach: localhost by the system's resolver, and a proxy that is set."""
    with receiver() as server:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.port}")
        own = f"https://localhost:{server.port}/"
        assert post(own, {}, b"{}", reach=Reach(), now=NOW).outcome in {"forbidden", "unresolved"}
        public = Reach(resolve=lambda _host, _port: [ip_address("10.9.8.7")])
        assert post("https://hooks.example.com/", {}, b"{}", reach=public, now=NOW).outcome == "forbidden"
        assert server.connections == 0


REFUSED = (
    *("http://hooks.example.com/", "ftp://hooks.example.com/", "//hooks.example.com/", "hooks.example.com"),
    *("https://", "https:///in", "https://?a", "https://hooks.example.com/#part", "https:/hooks.example.com"),
    *("https://user@hooks.example.com/", "https://user:pw@hooks.example.com/", "https://@hooks.example.com/"),
    *("https://localhost/", "https://localhost./", "https://LOCALHOST/", "https://a.localhost/"),
    *("https://printer.local/", "https://db.internal/", "https://router.lan/", "https://intranet/"),
    *(
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
    ),
    *(
        "https://0177.0.0.1/",
        "https://0/",
        "https://127.0.0.1./",
        "https://[::1]/",
        "https://[fe80::1%25eth0]/",
    ),
    *("https://１２７.0.0.1/", "https://127。0。0。1/", "https://①②⑦.0.0.1/", "https://0X7F.0x0.0x0.0x1/"),
    *("https://169.254.169.254/latest", "https://100.100.100.200/", "https://1.1.1.1/", "https://a.0x7f/"),
    *("https://hooks.example.com:22/", "https://hooks.example.com:0/", "https://hooks.example.com:65536/"),
    *("https://hooks.example.com:80/", "https://hooks.example.com:/", "https://hooks.example.com:４４３/"),
    *("https://hooks.example.com:443:443/", "https://hooks..example.com/", "https://-a.example.com/"),
    *("https://hooks_1.example.com/", "https://hooks example.com/", "https://hooks.example.com\\@10.0.0.1/"),
    *(
        "https://hooks.example.com/a\\b",
        "https://ex\u00adample/",
    ),
    *("https://hooks.example.com\t/", "https://hooks.example.com%2f@10.0.0.1/", "https://%31%32%37.0.0.1/"),
    f"https://{'a' * 64}.example.com/",
    f"https://hooks.example.com/{'a' * 1000}",
    "https://" + ".".join(["a" * 60] * 5) + "/",
)


@pytest.mark.parametrize("given", REFUSED)
def test_what_is_no_public_https_address_by_name_is_refused(given: str) -> None:
    with pytest.raises(WebhookUrlRefused) as refused:
        normalised_url(given, loopback=False)
    assert refused.value.pointer == "/body/url"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://hooks.example.com", "https://hooks.example.com/"),
        ("HTTPS://Hooks.Example.COM.:443/In?a=b", "https://hooks.example.com/In?a=b"),
        ("https://hooks.example.com:8443/", "https://hooks.example.com:8443/"),
        ("https://钩子.例子.cn/收", "https://xn--i8s974k.xn--fsqu00a.cn/%E6%94%B6"),
        ("https://ｈｏｏｋｓ．example。com/", "https://hooks.example.com/"),
        ("https://hooks.example.com?a=b", "https://hooks.example.com/?a=b"),
    ],
)
def test_an_address_is_kept_as_the_net_writes_it(given: str, kept: str) -> None:
    assert normalised_url(given, loopback=False) == kept
    assert normalised_url(kept, loopback=False) == kept


def test_only_a_developers_machine_lets_localhost_in_and_only_with_a_port_of_its_own() -> None:
    assert normalised_url("https://localhost:9443/in", loopback=True) == "https://localhost:9443/in"
    for given in (
        "https://localhost/",
        "https://localhost:443/",
        "https://127.0.0.1:9443/",
        "http://localhost:9443/",
    ):
        with pytest.raises(WebhookUrlRefused):
            normalised_url(given, loopback=True)
    with pytest.raises(WebhookUrlRefused):
        normalised_url("https://localhost:9443/in", loopback=False)
