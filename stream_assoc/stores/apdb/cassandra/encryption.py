"""TLS to the nodes: whom they are believed to be, and whom the client says it is."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError

MODES: Final = ("verify-full", "verify-ca")
PARAMETERS: Final = ("sslmode", "sslrootcert", "sslcert", "sslkey")
"""Of a URL, named as PostgreSQL names them."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """How a connection is encrypted.

    Attributes
    ----------
    authority_file : `str`
        PEM file of the authorities that may sign the nodes' certificates.
    checks_names : `bool`
        Whether a certificate has to be for the address of its node.
    certificate_file, key_file : `str` or `None`
        The client's own, for nodes that ask for one.
    """

    authority_file: str
    checks_names: bool = True
    certificate_file: str | None = None
    key_file: str | None = None

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Self | None:
        """Return what the parameters of a URL ask for; `None` if they are silent about it.

        Raises
        ------
        ApdbConfigurationError
            If they do not say how the nodes are to be verified.
        """
        given = {name: value for name, value in parameters.items() if name in PARAMETERS}
        if not given:
            return None
        mode, authority_file = given.get("sslmode"), given.get("sslrootcert")
        if mode not in MODES or not authority_file or ("sslcert" in given) != ("sslkey" in given):
            raise ApdbConfigurationError(
                f"encrypted connections to Cassandra need apdb.ssl_mode, one of {' and '.join(MODES)}, and "
                "apdb.ssl_ca_file; and apdb.ssl_certificate_file with apdb.ssl_key_file where nodes ask for them"
            )
        return cls(authority_file, mode == "verify-full", given.get("sslcert"), given.get("sslkey"))

    def context(self) -> ssl.SSLContext:
        """Return what sockets are wrapped in.

        Raises
        ------
        ApdbConfigurationError
            If a file cannot be read, or holds no certificate.
        """
        try:
            context = ssl.create_default_context(cafile=self.authority_file)
            if self.certificate_file is not None:
                context.load_cert_chain(self.certificate_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise ApdbConfigurationError(
                f"apdb.ssl_ca_file, or apdb.ssl_certificate_file and apdb.ssl_key_file, cannot be used: {error}"
            ) from error
        context.check_hostname = self.checks_names
        return context

    def for_dax(self) -> dict[str, Any]:
        """Return the options of the driver that a configuration file of dax_apdb can hold."""
        own = {"certfile": self.certificate_file, "keyfile": self.key_file} if self.certificate_file else {}
        return {"ca_certs": self.authority_file, "check_hostname": self.checks_names, **own}
