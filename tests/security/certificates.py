"""Certificates for a test, signed by an authority that lives as long as it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.parts import ENCRYPTION
from tests.services import ServiceUnavailableError

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its private key, PEM files."""

    certificate: Path
    key: Path

    @property
    def both(self) -> str:
        """The key and the certificate as one PEM text, as Kafka's key stores want it."""
        return self.key.read_text() + self.certificate.read_text()


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates that whoever has ``file`` trusts."""

    folder: Path
    own: Certificate

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """Make a new authority."""
        if not ENCRYPTION.is_here:
            raise ServiceUnavailableError(ENCRYPTION.reason)
        folder.mkdir()
        own = Certificate(folder / "ca.pem", folder / "ca.key")
        subject = ("-subj", "/CN=test authority", "-addext", "keyUsage=critical,keyCertSign")
        _openssl("req", "-x509", *KEY, *subject, "-keyout", str(own.key), "-out", str(own.certificate))
        return cls(folder, own)

    @property
    def file(self) -> Path:
        """The authority's own certificate."""
        return self.own.certificate

    def issue(self, name: str, address: str = "127.0.0.1") -> Certificate:
        """Return a certificate for a server on this machine, at an address of it, or for a client of this name."""
        issued = Certificate(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName=DNS:localhost,IP:{address}\n")
        _openssl("req", "-new", *KEY, "-subj", f"/CN={name}", "-keyout", str(issued.key), "-out", str(request))
        signer = ("-CA", str(self.own.certificate), "-CAkey", str(self.own.key), "-CAcreateserial")
        names = ("-extfile", str(extensions))
        _openssl("x509", "-req", "-in", str(request), *signer, *names, "-out", str(issued.certificate))
        issued.key.chmod(0o600)
        return issued


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
