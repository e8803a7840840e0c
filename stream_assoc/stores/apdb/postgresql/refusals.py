"""What PostgreSQL says when it will not let a client in, and what to do about it.

libpq passes no SQLSTATE on for a connection that was refused, so the words
decide. They are the server's and libpq's English ones; in another language the
refusal is taken for an outage, which ends by `daemon.restart_budget`.
"""

from typing import Final

_USER: Final = "check the user in apdb.url and apdb.password"
_TLS: Final = "check apdb.ssl_mode: verify-full encrypts, disable does not"

_REMEDIES: Final = {
    "password authentication failed": _USER,
    "no password supplied": _USER,
    "does not exist": "check the user and the database in apdb.url, and the files of apdb.ssl_*",
    "certificate verify failed": "set apdb.ssl_ca_file to the authority that signed the server's certificate",
    "does not match host name": "the host in apdb.url must be one that the server's certificate was made for",
    "no pg_hba.conf entry": f"the server's pg_hba.conf does not let this user in from here; {_TLS}",
    "pg_hba.conf rejects": f"the server's pg_hba.conf does not let this user in from here; {_TLS}",
    "server does not support SSL": f"turn ssl on in the server; {_TLS}",
    "requires a valid client certificate": "set apdb.ssl_certificate_file and apdb.ssl_key_file",
    "private key file": "check apdb.ssl_key_file: it must belong to this user, and nobody else may read it",
    "could not read root certificate": "check apdb.ssl_ca_file",
    "could not read certificate": "check apdb.ssl_certificate_file",
}


def refusal_remedy(text: str) -> str | None:
    """Return what to do about a refused connection, `None` for an error of another kind."""
    return next((remedy for phrase, remedy in _REMEDIES.items() if phrase in text), None)
