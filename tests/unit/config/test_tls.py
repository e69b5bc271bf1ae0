"""What the TLS of clients and of our own server share."""

import socket
import ssl
from datetime import UTC, datetime

import pytest
import trustme

from exporter.config.tls import DelegatingContext, not_after


def test_each_connection_is_made_with_the_present_context() -> None:
    contexts = [ssl.create_default_context(), ssl.create_default_context()]
    delegating = DelegatingContext(lambda: contexts[0])

    def context_of_a_connection() -> ssl.SSLContext:
        return delegating.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a.name").context

    assert context_of_a_connection() is contexts[0]
    del contexts[0]
    assert context_of_a_connection() is contexts[0]


def test_socket_is_not_wrapped_by_the_settings_of_a_client() -> None:
    delegating = DelegatingContext(ssl.create_default_context)
    delegating.check_hostname = False
    delegating.verify_mode = ssl.CERT_NONE

    with socket.socket() as plain, pytest.raises(NotImplementedError):
        delegating.wrap_socket(plain)


def test_not_after_reads_pem_and_der() -> None:
    end = datetime(2031, 5, 7, tzinfo=UTC)
    pem = trustme.CA().issue_cert("a.name", not_after=end).cert_chain_pems[0].bytes()

    assert not_after(pem, pem=True) == end.timestamp()
    assert not_after(ssl.PEM_cert_to_DER_cert(pem.decode()), pem=False) == end.timestamp()
    with pytest.raises(ValueError, match="PEM"):
        not_after(b"no certificate", pem=True)
