"""Makes documents from the declarations: `example.env`, the tables of docs/configuration.md, and the JSON Schema."""

from __future__ import annotations

import textwrap
from typing import Any

from replica_cli.config.catalogue import all_settings, variables
from replica_cli.config.declarations import Declarations

_WIDTH = 110
_EXAMPLE_HEAD = """\
# Settings of `replica`: copy to `.env` and change. Variables of the environment win over this file.
# A line that is commented out shows the default. Durations: 200ms, 5s, 1m, 1h, 7d. Sizes: 65536, 4MiB.
"""


def example_env() -> str:
    """Return the text of `example.env`."""
    parts = [_EXAMPLE_HEAD]
    for each in variables():
        meaning = "\n".join(textwrap.wrap(_sentence(each.meaning), _WIDTH, initial_indent="# ", subsequent_indent="# "))
        parts.append(f"{meaning}\n#{each.variable}={each.default}\n")
    return "\n".join(parts)


def variables_table() -> str:
    """Return the table of all environment variables as Markdown."""
    lines = ["| variable | in the file | default | reload | meaning |", "|---|---|---|---|---|"]
    for each in variables():
        reload = "yes" if each.reloads else ""
        cells = (f"`{each.variable}`", _code(each.name), _code(each.default), reload, _cell(each.meaning))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def file_only_table() -> str:
    """Return the table of the settings that only a configuration file can have, as Markdown."""
    lines = ["| in the file | default | meaning |", "|---|---|---|"]
    # The groups of a secondary are those of all secondaries.
    lines += [
        f"| `{each.name}` | {_code(each.default)} | {_cell(each.meaning)} |"
        for each in all_settings()
        if not each.variable and not (each.path[0] == "secondaries" and len(each.path) > 3)
    ]
    return "\n".join(lines) + "\n"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a configuration file, for editors."""
    schema = Declarations.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of replica",
        **_without_own_keys(schema),
    }


def _without_own_keys(value: Any) -> Any:
    if isinstance(value, dict):
        if "x-replica" in value:
            value = _with_null(value)
        return {k: _without_own_keys(v) for k, v in value.items() if not _is_own(k, v)}
    if isinstance(value, list):
        return [_without_own_keys(each) for each in value]
    return value


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a setting or a group that may be empty; an empty secret is refused."""
    described: dict[str, Any] = {k: schema[k] for k in ("default", "description", "x-replica") if k in schema}
    rest = {k: v for k, v in schema.items() if k not in described}
    options = [each for each in rest.get("anyOf", [rest]) if each != {"type": "null"}]
    is_secret = schema["x-replica"].get("is_secret", False)
    return {**described, "anyOf": [*options, *([] if is_secret else [{"type": "null"}])]}


def _is_own(key: str, value: object) -> bool:
    return key in ("x-replica", "title") or (key == "default" and value is None)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
