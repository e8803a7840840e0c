"""Values that may hold a password, and how they are shown without it."""

import re
from typing import Annotated, Final, TypeAlias

from pydantic import BeforeValidator, Secret, SecretStr

MASK: Final = "***"

_SENSITIVE_KEY: Final = re.compile(
    r"password|secret|token|oauthbearer\.config|jaas|ssl\.key|ssl_key|key\.pem", re.IGNORECASE
)
_SENSITIVE_PARAMETER: Final = re.compile(r"password|secret|token", re.IGNORECASE)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_QUERY: Final = re.compile(r"[?#;]")
_SHOWN_CHARACTERS: Final = 80
_BEFORE_PARAMETER: Final = re.compile(r"([?&])")


def is_sensitive(key: str) -> bool:
    """Tell whether a client option of this name holds a secret.

    Examples
    --------
    >>> is_sensitive("sasl.password"), is_sensitive("linger.ms")
    (True, False)
    """
    return _SENSITIVE_KEY.search(key) is not None and not key.endswith(".location")


def mask_url(url: str) -> str:
    """Return the URL with its passwords replaced by ``***``.

    Text that is no URL, but could hold a password, is masked as a whole.

    Examples
    --------
    >>> mask_url("postgresql://rubin:hunter2@db:5432/apdb?sslpassword=x")
    'postgresql://rubin:***@db:5432/apdb?sslpassword=***'
    """
    if "://" not in url:
        # libpq also knows "host=db password=...".
        return MASK if set(url) & set("@=") else url
    head, *rest = _BEFORE_PARAMETER.split(_without_password(url))
    parameters = (mark + _without_value(parameter) for mark, parameter in zip(rest[::2], rest[1::2], strict=True))
    return head + "".join(parameters)


def redacted(text: str) -> str:
    """Return text from a setting without the parts that may be secret.

    Of a URL neither user nor query is left: a token may be in either.

    Examples
    --------
    >>> redacted("https://key:hunter2@host/path?sig=hunter2")
    'https://***@host/path?***'
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        return MASK if set(text) & set("@=") else text[:_SHOWN_CHARACTERS]
    if not _SCHEME.fullmatch(scheme):
        return MASK
    # Up to the last @, because a password may hold any character; a query may as well, and then nothing is sure.
    before, at, place = rest.rpartition("@")
    if _QUERY.search(before):
        return f"{scheme}{separator}{MASK}"
    path, mark, _ = _QUERY.sub("?", place, count=1).partition("?")
    shown = f"{scheme}{separator}{MASK + '@' if at else ''}{path}"
    return f"{shown[:_SHOWN_CHARACTERS]}{'?' + MASK if mark else ''}"


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    # Up to the last @, because a password may hold any character that a URL should have had quoted.
    credentials, at, place = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{separator}{user}:{MASK}@{place}" if at and colon else url


def _without_value(parameter: str) -> str:
    name, equals, _ = parameter.partition("=")
    return f"{name}={MASK}" if equals and _SENSITIVE_PARAMETER.search(name) else parameter


class SecretUrl(Secret[str]):
    """A URL that prints without its password; `get_secret_value` gives all of it."""

    def _display(self) -> str:
        return mask_url(self.get_secret_value())


def _hide_sensitive(options: object) -> object:
    if not isinstance(options, dict):
        return options
    return {
        key: SecretStr(value) if isinstance(value, str) and is_sensitive(str(key)) else value
        for key, value in options.items()
    }


ClientOptions: TypeAlias = Annotated[
    dict[str, str | bool | int | float | SecretStr],
    BeforeValidator(_hide_sensitive),
]
"""librdkafka options by their own names; those that hold secrets are kept as `pydantic.SecretStr`."""


def reveal(options: dict[str, str | bool | int | float | SecretStr]) -> dict[str, str | bool | int | float]:
    """Return the options as the client needs them, secrets in plain text."""
    return {
        key: value.get_secret_value() if isinstance(value, SecretStr) else value for key, value in options.items()
    }
