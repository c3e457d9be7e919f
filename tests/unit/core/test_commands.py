from __future__ import annotations

import shlex
import subprocess

import pytest

from replica_cli.core.commands import CommandLine, fill, install_command_line, shell_word, table_options
from replica_cli.core.table import TableName


def test_a_command_gets_the_options_that_were_given_quoted_for_the_shell() -> None:
    install_command_line(CommandLine(env_file="/etc/my replica.env"))
    text = "run `replica transfer --resume`, then `replica drift check --sql` and `SHOW GRANTS`"
    assert fill(text, "db 2") == (
        "run `replica transfer --resume --secondary 'db 2' --env-file '/etc/my replica.env'`, then "
        "`replica drift check --sql --secondary 'db 2' --env-file '/etc/my replica.env'` and `SHOW GRANTS`"
    )
    assert fill(fill(text, "db 2"), "db 3") == fill(text, "db 2")


def test_the_picked_secondary_is_named_if_the_text_names_none() -> None:
    install_command_line(CommandLine(secondary="db2"))
    assert fill("`replica transfer --all`") == "`replica transfer --all`"
    assert fill("`replica health`") == "`replica health --secondary db2`"
    assert fill("`replica health`", "db1") == "`replica health --secondary db1`"
    assert fill("`replica demo` and `replica`.`orders`") == "`replica demo` and `replica`.`orders`"


NAMES = ["orders", "my orders", "it's", "a`b", 'a"b$(x)', "a\nb\x1b", "\u202eb", "a'`'b", "-- `replica transfer`"]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_name_is_one_word_for_the_shell_and_the_command_stays_one(name: str) -> None:
    table = TableName("shop", name)
    done = subprocess.run(
        ["bash", "-c", f"printf '%s|' {table_options([table])}"], check=True, capture_output=True, text=True,
        env={"LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.stdout == f"--table|shop.{name}|"
    filled = fill(f"`replica transfer {table_options([table])}` copies it", "db1")
    assert filled == f"`replica transfer {table_options([table])} --secondary db1` copies it"
    assert "\n" not in filled


def test_plain_words_stay_as_they_are() -> None:
    assert shell_word("shop.orders") == shlex.quote("shop.orders") == "shop.orders"
