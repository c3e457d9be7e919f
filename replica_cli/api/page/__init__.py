"""The status page: one HTML file, and the policy by which a browser runs its own script and nothing else."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from pathlib import Path

_FILE = Path(__file__).with_name("page.html")


@functools.cache
def page() -> tuple[str, str]:
    """Return the page and its content security policy."""
    html = _FILE.read_text(encoding="utf-8")
    script, style = (_hashes(html, tag) for tag in ("script", "style"))
    return html, (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hashes(html: str, tag: str) -> str:
    """Return the hashes of the page's own elements of a kind: others, which a name could smuggle in, do not run."""
    texts = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}'" for t in texts)
