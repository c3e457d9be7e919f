"""The package cryptography is loaded by the first login that needs it, and not before."""

from __future__ import annotations

import subprocess
import sys

_CODE = """
import sys
import replica_cli.mysql.session, replica_cli.reader.dump
from pymysql import _auth
assert "cryptography" not in sys.modules and not _auth._have_cryptography
encrypted = []
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
public = key.public_key().public_bytes(*form)
for _ in range(2):
    encrypted = _auth.sha2_rsa_encrypt(b"a password", b"x" * 20, public)
    oaep = padding.OAEP(mgf=padding.MGF1(algorithm=hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
    assert _auth._xor_password(key.decrypt(encrypted, oaep), b"x" * 20) == b"a password\\0"
assert _auth._have_cryptography
"""
_WITHOUT = """
import sys
import replica_cli.mysql.session
from pymysql import _auth
class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "cryptography":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
try:
    _auth.sha2_rsa_encrypt(b"a password", b"x" * 20, b"a key")
except ModuleNotFoundError as error:
    assert "cryptography" in str(error)
else:
    raise AssertionError
"""


def test_a_login_that_needs_it_loads_it() -> None:
    subprocess.run([sys.executable, "-c", _CODE], check=True)


def test_a_package_that_is_missing_is_named() -> None:
    subprocess.run([sys.executable, "-c", _WITHOUT], check=True)


def test_the_driver_has_the_names_that_are_set_late() -> None:
    code = (
        "from pymysql import _auth; "
        "_auth._have_cryptography, _auth.default_backend, _auth.hashes, _auth.serialization, _auth.padding, "
        "_auth.sha2_rsa_encrypt"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
