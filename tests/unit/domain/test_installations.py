"""Origins of API URLs: what makes two URLs lead to one installation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.config.urls import HOSTS, api_url
from etl.domain.installations import origin_of


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://dataapi.example/v2.0", "https://dataapi.example"),
        ("HTTPS://DataAPI.Example:443/V2.0", "https://dataapi.example"),
        ("https://dataapi.example:0443", "https://dataapi.example"),
        ("https://dataapi.example:/v4.0", "https://dataapi.example"),
        ("https://dataapi.example:8443/v2.0", "https://dataapi.example:8443"),
        ("http://127.0.0.1:80/v2.0", "http://127.0.0.1"),
        ("http://127.0.0.1:443/v2.0", "http://127.0.0.1:443"),
        ("http://[::1]:8080/v2.0", "http://[::1]:8080"),
        ("https://dataapi.example", "https://dataapi.example"),
    ],
)
@pytest.mark.fault("A01")
def test_an_origin_is_scheme_host_and_port(url: str, origin: str) -> None:
    """In lower case, without the scheme's own port; path and version are no part of it. An origin is its own origin."""
    assert origin_of(url) == origin
    assert origin_of(origin) == origin


@pytest.mark.parametrize(
    "text", ["", "dataapi.example", "ftp://dataapi.example", "https://u:p@dataapi.example", "https:"]
)
@pytest.mark.fault("A01")
def test_other_text_has_no_origin(text: str) -> None:
    """No host is guessed, and no user or password passes for one."""
    with pytest.raises(ValueError, match="not an http or https URL"):
        origin_of(text)


@pytest.mark.fault("A01")
def test_the_brands_are_installations_of_their_own() -> None:
    """Each name of a brand stands for another origin."""
    assert len({origin_of(url) for url in HOSTS.values()}) == len(HOSTS)


@given(st.text("aB0-.:/[]@%?#", max_size=16), st.sampled_from(["https://", "http://127.0.0.1", "http://[::1]"]))
@pytest.mark.fault("A01")
def test_every_url_that_settings_accept_has_an_origin(rest: str, start: str) -> None:
    """Every value that `--api-url` accepts has an origin, so two of them can be compared."""
    try:
        url = api_url(start + rest)
    except ValueError:
        return
    assert origin_of(origin_of(url)) == origin_of(url)
