"""MicroPython's `tls` over CPython's `ssl`: the same names, non-blocking reads that give None, and ValueError for a bad peer."""

import select
import ssl
import tempfile

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

PROTOCOL_TLS_CLIENT = 0
CERT_NONE = 0
CERT_REQUIRED = 2
_PAUSE_S = 0.005  # MicroPython's poll knows which way a handshake waits, CPython's does not: so wait a little here


class SSLContext:
    def __init__(self, protocol):
        assert protocol == PROTOCOL_TLS_CLIENT
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.verify_mode = CERT_REQUIRED

    def load_verify_locations(self, cadata):
        try:
            self._context.load_verify_locations(cadata=bytes(cadata))
        except ssl.SSLError as error:
            raise ValueError("invalid cert") from error

    def load_cert_chain(self, cert, key):
        """CPython reads files only, and wants to know which kind of key it is."""
        pem = load_der_private_key(key, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with tempfile.NamedTemporaryFile() as file:
            file.write(ssl.DER_cert_to_PEM_cert(cert).encode() + pem)
            file.flush()
            self._context.load_cert_chain(file.name)

    def wrap_socket(self, sock, server_hostname=None, do_handshake_on_connect=True):
        assert self.verify_mode == CERT_REQUIRED, "the firmware must not switch verification off"
        if not server_hostname:
            raise ValueError("CERT_REQUIRED requires server_hostname")
        assert not do_handshake_on_connect and sock.gettimeout() == 0, "a handshake that can block has no deadline"
        return _Socket(self._context.wrap_socket(sock, server_hostname=server_hostname, do_handshake_on_connect=False))


class _Socket:
    def __init__(self, sock):
        self._sock = sock
        self._shaken = False

    def fileno(self):
        return self._sock.fileno()

    def _do(self, action, *args):
        try:
            if not self._shaken:
                self._sock.do_handshake()
                self._shaken = True
            return action(*args)
        except ssl.SSLWantReadError:
            select.select([self._sock], [], [], _PAUSE_S)
            return None
        except ssl.SSLWantWriteError:
            return None
        except ssl.SSLCertVerificationError as error:
            raise ValueError(error.verify_message) from error
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            if not self._shaken:
                raise OSError(104, "closed in the handshake") from None
            return 0

    def write(self, data):
        return self._do(self._sock.write, bytes(data))

    def readinto(self, buffer):
        return self._do(self._recv_into, buffer)

    def _recv_into(self, buffer):
        data = self._sock.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self):
        self._sock.close()
