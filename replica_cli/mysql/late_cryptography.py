"""Load PyMySQL without the package cryptography, which is loaded when a login needs it.

PyMySQL imports it at once. It encrypts a password with the key of a server that has neither TLS nor the password's hash
in its cache, and loading it takes a twentieth of the time of `replica health`. Called before PyMySQL is imported.
"""

from __future__ import annotations

import sys
from typing import Any

_PACKAGE = "cryptography"


def load_driver() -> None:
    """Import PyMySQL. If cryptography is not loaded already, it is loaded by the first login that needs it."""
    is_loaded = _PACKAGE in sys.modules
    if not is_loaded:
        sys.modules[_PACKAGE] = None  # type: ignore[assignment]  # so an import of it fails meanwhile
    try:
        from pymysql import _auth  # noqa: PLC0415 - this is what the function is for
    finally:
        if not is_loaded:
            del sys.modules[_PACKAGE]
    auth: Any = _auth
    if auth._have_cryptography:  # noqa: SLF001 - the driver's own flag, checked by tests/unit/mysql/test_late_cryptography.py
        return
    encrypt = auth.sha2_rsa_encrypt

    def encrypt_with_cryptography(password: bytes, salt: bytes, public_key: bytes) -> bytes:
        complete_driver()
        encrypted: bytes = encrypt(password, salt, public_key)
        return encrypted

    auth.sha2_rsa_encrypt = encrypt_with_cryptography


def complete_driver() -> None:
    """Load cryptography now, and give the driver's module the names that it would have imported."""
    from pymysql import _auth  # noqa: PLC0415 - `load_driver` decides how it is loaded

    auth: Any = _auth
    if auth._have_cryptography:  # noqa: SLF001 - as above
        return
    from cryptography.hazmat.backends import default_backend  # noqa: PLC0415 - as the module says
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415 - as above

    auth.default_backend, auth.hashes, auth.serialization = default_backend, hashes, serialization
    auth.padding, auth._have_cryptography = padding, True  # noqa: SLF001 - as above
