"""A certificate for `localhost`, for receivers on a developer's own machine and in tests.

The authority is made on the spot, may vouch for nothing but its one name, and its key is thrown away.
"""

import shutil
import ssl
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kernel.clock import SystemClock

FOLDER = "webhook-loopback"
AUTHORITY, SERVER = "authority.pem", "server.pem"
LIFE = timedelta(days=3650)


@dataclass(frozen=True, kw_only=True)
class Issued:
    """PEM texts: the authority's certificate; the server's with its key."""

    authority: str
    server: str


def issue_for(host: str, *, now: datetime) -> Issued:
    """A fresh authority that may vouch for `host` alone, and the certificate it gave."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tanpuhui webhooks on this machine")])
    begun = x509.CertificateBuilder().not_valid_before(now - timedelta(days=1)).not_valid_after(now + LIFE)
    known_as = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        begun.subject_name(issuer)
        .issuer_name(issuer)
        .public_key(authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .add_extension(x509.NameConstraints([x509.DNSName(host)], None), critical=True)
        .add_extension(known_as, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    server = (
        begun.subject_name(x509.Name([]))
        .issuer_name(issuer)
        .public_key(server_key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known_as), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    key = server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Issued(
        authority=authority.public_bytes(Encoding.PEM).decode(),
        server=server.public_bytes(Encoding.PEM).decode() + key,
    )


def kept_for_localhost(data: Path) -> Path:
    """The folder in `data` with `authority.pem` and `server.pem` for localhost; made once."""
    folder = data / FOLDER
    if not folder.exists():
        data.mkdir(parents=True, exist_ok=True)
        made = issue_for("localhost", now=SystemClock().now())
        draft = Path(tempfile.mkdtemp(prefix=f"{FOLDER}.", dir=data))
        (draft / AUTHORITY).write_text(made.authority)
        (draft / SERVER).touch(mode=0o600)
        (draft / SERVER).write_text(made.server)
        try:
            draft.rename(folder)
        except OSError:  # another process was first: its certificate stands
            shutil.rmtree(draft)
    return folder


def trusting(authority: str) -> ssl.SSLContext:
    """The public authorities and this one."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_verify_locations(cadata=authority)
    return context


def _usage(*, certificates: bool) -> x509.KeyUsage:
    """Signs certificates, or the handshakes of a server."""
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
