"""A primary's table as statements for a secondary, without a server."""

from __future__ import annotations

import pytest

from replica_cli.core.table import TableName
from replica_cli.sqlbuilder.definitions.create_statements import (
    CreateStatements,
    create_statements,
    schema_statement,
    without_counter,
)
from replica_cli.sqlbuilder.definitions.crossing import Crossing
from replica_cli.sqlbuilder.definitions.refused import DefinitionRefused

SOURCE = TableName("shop", "t")
TO_MYSQL, TO_MARIADB = Crossing(from_mariadb=True, to_mariadb=False), Crossing(from_mariadb=False, to_mariadb=True)


def made(text: str, crossing: Crossing | None = None, **options: bool) -> CreateStatements:
    def route(name: TableName) -> TableName:
        return TableName(f"{name.schema}_copy", name.table)

    return create_statements(text, route(SOURCE), source=SOURCE, route=route, crossing=crossing, **options)


def table(*items: str, tail: str = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4") -> str:
    return "CREATE TABLE `t` (\n  " + ",\n  ".join(items) + f"\n) {tail}"


def test_foreign_keys_come_apart_and_parents_are_routed() -> None:
    text = table(
        "`id` int NOT NULL",
        "KEY `fk` (`id`)",
        "CONSTRAINT `fk` FOREIGN KEY (`id`) REFERENCES `p` (`id`) ON DELETE CASCADE",
        "CONSTRAINT `fk``2` FOREIGN KEY (`id`) REFERENCES `other`.`p(` (`id`)",
    )
    result = made(text)
    assert result.create == (
        "CREATE TABLE `shop_copy`.`t` (\n  `id` int NOT NULL,\n  KEY `fk` (`id`)\n)"
        " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
    )
    assert result.foreign_keys == (
        (
            "ALTER TABLE `shop_copy`.`t` ADD CONSTRAINT `fk` FOREIGN KEY (`id`) REFERENCES `shop_copy`.`p` (`id`)"
            " ON DELETE CASCADE"
        ),
        "ALTER TABLE `shop_copy`.`t` ADD CONSTRAINT `fk``2` FOREIGN KEY (`id`) REFERENCES `other_copy`.`p(` (`id`)",
    )


def test_a_foreign_key_to_what_is_not_replicated_is_left_out() -> None:
    text = table("`id` int", "CONSTRAINT `fk` FOREIGN KEY (`id`) REFERENCES `p` (`id`)")
    result = create_statements(text, SOURCE, source=SOURCE, route=lambda _: None)
    assert result.foreign_keys == ()
    assert "fk is left out" in result.notes[0]


def test_names_and_strings_may_hold_anything() -> None:
    column = "`a,) FOREIGN KEY ('``*/` enum(',','(','it''s','\\'') DEFAULT ',' COMMENT 'ENGINE=MyISAM, (\\n'"
    assert column in made(table(column)).create


@pytest.mark.parametrize("engine", ["MyISAM", "Aria", "MEMORY", "CSV", "ARCHIVE"])
def test_an_engine_that_cannot_roll_back_becomes_innodb(engine: str) -> None:
    text = table(
        "`a` int", tail=f"ENGINE={engine} DEFAULT CHARSET=latin1 PAGE_CHECKSUM=1 ROW_FORMAT=PAGE COMMENT='Aria'"
    )
    result = made(text)
    assert result.create.endswith(") ENGINE=InnoDB DEFAULT CHARSET=latin1 COMMENT='Aria'")
    assert "becomes InnoDB" in result.notes[0]


def test_partitions_follow_their_table() -> None:
    tail = "ENGINE=MyISAM\n PARTITION BY RANGE (`a`)\n(PARTITION `p0` VALUES LESS THAN (10) ENGINE = MyISAM)"
    assert made(table("`a` int", tail=tail)).create.count("InnoDB") == 2


def test_a_hash_key_of_memory_is_an_ordinary_key() -> None:
    result = made(table("`a` int", "UNIQUE KEY `a` (`a`) USING HASH", tail="ENGINE=MEMORY"))
    assert "UNIQUE KEY `a` (`a`)\n" in result.create


def test_what_innodb_cannot_hold_is_refused() -> None:
    items = ("`g` int NOT NULL", "`n` int NOT NULL AUTO_INCREMENT", "PRIMARY KEY (`g`,`n`)")
    with pytest.raises(DefinitionRefused) as refused:
        made(table(*items, tail="ENGINE=MyISAM"))
    assert (refused.value.table, refused.value.column) == (SOURCE, "n")
    with pytest.raises(DefinitionRefused):
        made(table("`a` int", tail="ENGINE=MRG_MyISAM UNION=(`x`)"))


def test_the_counter_is_kept() -> None:
    text = table(
        "`a` int NOT NULL AUTO_INCREMENT", "PRIMARY KEY (`a`)", tail="ENGINE=InnoDB AUTO_INCREMENT=77 COMMENT='c'"
    )
    assert "AUTO_INCREMENT=77" in made(text).create


def test_places_of_the_primary_are_left_out() -> None:
    result = made(table("`a` int", tail="/*!50100 TABLESPACE `ts` */ ENGINE=InnoDB DATA DIRECTORY='/srv/fast/'"))
    assert "ts" not in result.create.split(")")[-1]
    assert "/srv" not in result.create
    assert len(result.notes) == 2


def test_a_sequence_in_a_default_is_routed() -> None:
    assert "nextval(`shop_copy`.`s`)" in made(table("`a` int DEFAULT nextval(`shop`.`s`)")).create


def test_a_question_mark_is_doubted() -> None:
    assert made(table("`e` enum('?','b')")).notes
    assert not made(table("`e` enum('a','b') COMMENT 'what?'")).notes


def test_json_crosses_both_ways() -> None:
    to_mariadb = made(table("`j` json DEFAULT NULL COMMENT 'x'"), TO_MARIADB).create
    longtext = "`j` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL COMMENT 'x' CHECK (json_valid(`j`))"
    assert longtext in to_mariadb
    assert "`j` json DEFAULT NULL COMMENT 'x'" in made(table(longtext), TO_MYSQL).create


def test_version_comments_become_the_other_flavours_words() -> None:
    items = ("`a` int DEFAULT '3' /*!80023 INVISIBLE */", "`g` geometry NOT NULL /*!80003 SRID 4326 */",
             "KEY `k` (`a`) /*!80000 INVISIBLE */")  # fmt: skip
    result = made(table(*items), TO_MARIADB)
    assert "`a` int DEFAULT '3' INVISIBLE" in result.create
    assert "KEY `k` (`a`) IGNORED" in result.create
    assert "SRID" not in result.create
    assert "SRID" in result.notes[0]


def test_defaults_get_mysqls_parentheses() -> None:
    items = ("`a` varchar(9) DEFAULT concat('a','b') COMMENT 'c'", "`b` text DEFAULT 'x'", "`c` int DEFAULT -1",
             "`d` datetime DEFAULT current_timestamp() ON UPDATE current_timestamp()")  # fmt: skip
    text = made(table(*items), TO_MYSQL).create
    assert "DEFAULT (concat('a','b')) COMMENT" in text
    assert "`b` text DEFAULT ('x')" in text
    assert "`c` int DEFAULT -1," in text
    assert "DEFAULT current_timestamp() ON UPDATE current_timestamp()" in text


@pytest.mark.parametrize(
    ("item", "crossing"),
    [
        ("`a` uuid DEFAULT uuid()", TO_MYSQL),
        ("`a` inet4 DEFAULT '1.2.3.4'", TO_MYSQL),
        ("`a` uuid, `b` varchar(99) GENERATED ALWAYS AS (concat(`a`)) VIRTUAL", TO_MYSQL),
        ("`a` vector(3)", TO_MYSQL),
        ("`a` varchar(9) COLLATE utf8mb4_uca1400_german2_ai_ci", TO_MYSQL),
        ("`a` varchar(9) COLLATE utf8mb4_de_pb_0900_ai_ci", TO_MARIADB),
        ("`a` varchar(9) CHARACTER SET gb18030", TO_MARIADB),
        ("`a` vector(3)", TO_MARIADB),
        ("`a` int GENERATED ALWAYS AS (crc32(`b`)) VIRTUAL", TO_MARIADB),
        ("KEY `k` ((upper(`a`)))", TO_MARIADB),
        ("CONSTRAINT `c` CHECK ((`a` > 0)) /*!80016 NOT ENFORCED */", TO_MARIADB),
        ("PERIOD FOR `p` (`s`, `e`)", TO_MYSQL),
        ("`a` timestamp(6) GENERATED ALWAYS AS ROW START", TO_MYSQL),
    ],
)
def test_what_has_no_exact_equal_is_refused(item: str, crossing: Crossing) -> None:
    with pytest.raises(DefinitionRefused):
        made(table("`id` int", item), crossing)


def test_collations_of_both_flavours_replace_each_other() -> None:
    tail = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE="
    for collation, crossing, expected in (
        ("utf8mb4_0900_ai_ci", TO_MARIADB, "utf8mb4_uca1400_nopad_ai_ci"),
        ("utf8mb4_uca1400_nopad_as_cs", TO_MYSQL, "utf8mb4_0900_as_cs"),
        ("utf8mb4_uca1400_ai_ci", TO_MYSQL, "utf8mb4_0900_ai_ci"),
        ("utf8mb4_general_ci", TO_MYSQL, "utf8mb4_general_ci"),
    ):
        assert made(table("`a` int", tail=tail + collation), crossing).create.endswith(f"COLLATE={expected}")


def test_addresses_become_bytes_on_mysql() -> None:
    items = ("`a` uuid NOT NULL", "`b` inet6 DEFAULT NULL", "`c` inet4 DEFAULT NULL", "PRIMARY KEY (`a`)")
    text = made(table(*items), TO_MYSQL).create
    assert "`a` binary(16) NOT NULL,\n  `b` binary(16) DEFAULT NULL,\n  `c` binary(4) DEFAULT NULL" in text


def test_a_schema_statement_takes_names_only() -> None:
    assert schema_statement("a`", "utf8mb4", "utf8mb4_bin") == (
        "CREATE DATABASE IF NOT EXISTS `a``` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    )
    with pytest.raises(ValueError):
        schema_statement("a", "utf8mb4; DROP", "utf8mb4_bin")


def test_what_is_no_table_is_said() -> None:
    with pytest.raises(ValueError):
        made("DROP TABLE x")


def test_a_definition_without_its_counter_is_that_of_a_table_that_had_no_row_yet() -> None:
    start = "CREATE TABLE `a` (\n  `AUTO_INCREMENT` int NOT NULL AUTO_INCREMENT DEFAULT '='\n) ENGINE=InnoDB "
    end = "DEFAULT CHARSET=utf8mb4 COMMENT='AUTO_INCREMENT=5'"
    assert without_counter(f"{start}AUTO_INCREMENT=8 {end}") == without_counter(start + end) == start + end
