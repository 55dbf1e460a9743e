"""Certificate authority of a test, and the certificates that it signs, made with the openssl command."""

from __future__ import annotations

import ssl
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path

_CONFIG = """[ca]
default_ca = own
[own]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Authority:
    """A folder with the authority's key and certificate."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """The file for SSL_CERT_FILE."""
        return self.folder / "authority.pem"

    @classmethod
    def found(cls, folder: Path) -> Authority:
        """Create an authority."""
        own = cls(folder)
        (folder / "openssl.cnf").write_text(_CONFIG)
        (folder / "index.txt").touch()
        (folder / "serial").write_text("01\n")
        own._openssl("req", "-x509", *_KEY, "-keyout", "authority.key", "-out", "authority.pem", "-subj", "/CN=Test CA")
        return own

    def server(self, *, host: str = "IP:127.0.0.1", expired: bool = False) -> ssl.SSLContext:
        """A server's context with a certificate for `host`, signed by this authority."""
        name = f"{host.replace(':', '-')}{'-expired' if expired else ''}"
        since, until = ("20200101000000Z", "20200102000000Z") if expired else ("20200101000000Z", "20991231000000Z")
        (self.folder / f"{name}.ext").write_text(f"subjectAltName = {host}\n")
        self._openssl("req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self._openssl(
            *("ca", "-batch", "-notext", "-config", "openssl.cnf", "-cert", "authority.pem", "-keyfile"),
            *("authority.key", "-in", f"{name}.csr", "-out", f"{name}.pem", "-startdate", since, "-enddate", until),
            *("-extfile", f"{name}.ext"),
        )
        return self._context(name)

    def self_signed(self) -> ssl.SSLContext:
        """A server's context with a certificate that is signed only by its own key."""
        extension = ("-addext", "subjectAltName = IP:127.0.0.1")
        files = ("-keyout", "self.key", "-out", "self.pem", "-subj", "/CN=self")
        self._openssl("req", "-x509", *_KEY, *files, *extension)
        return self._context("self")

    def old(self) -> ssl.SSLContext:
        """A server's context that supports TLS up to version 1.1 only."""
        context = self.server()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        return context

    def _context(self, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=30)
