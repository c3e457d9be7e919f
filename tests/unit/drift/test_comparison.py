"""Which differences of two catalogs are reported, and which of them break a stream; from plain data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from replica_cli.core.differences import Aspect, Severity
from replica_cli.core.names import TableName
from replica_cli.core.selection import Selection
from replica_cli.core.table import Column, ForeignKey, Index, IndexColumn, TableDefinition
from replica_cli.drift.comparison import compare_catalogs
from replica_cli.drift.equivalence import column_type, compact, is_json, loose
from replica_cli.sqlbuilder.definitions.crossing import Crossing

BREAKS, DIFFERS = Severity.BREAKS, Severity.DIFFERS
SELECTION = Selection((("shop", "store"),))
ITEMS, SALES = TableName("shop", "items"), TableName("shop", "sales")
THERE = TableName("store", "items")
ID = Column("id", "int", "int(11)", is_nullable=False)
N = Column("n", "varchar", "varchar(30)", charset="utf8mb4", collation="utf8mb4_general_ci")
PRIMARY = Index("PRIMARY", True, (IndexColumn("id"),))
TABLE = TableDefinition(ITEMS, "InnoDB", "utf8mb4_general_ci", (ID, N), (PRIMARY,))
KEY = ForeignKey("f", ("id",), SALES, ("id",), "RESTRICT", "RESTRICT")
TO_MYSQL = Crossing(True, False)


def differences(
    primary: TableDefinition, secondary: TableDefinition, crossing: Crossing | None = None
) -> list[tuple[Aspect, str, Severity]]:
    found = compare_catalogs({ITEMS: primary}, {THERE: replace(secondary, name=THERE)}, SELECTION, crossing)
    return [(d.aspect, d.name, d.severity) for d in found]


def with_n(**changes: Any) -> TableDefinition:
    return replace(TABLE, columns=(ID, replace(N, **changes)))


def index(name: str, column: str = "n", *, unique: bool = False, **changes: Any) -> Index:
    return Index(name, unique, (IndexColumn(column, **changes),))


class TestTables:
    def test_a_table_that_is_missing_breaks_and_one_that_is_extra_does_not(self) -> None:
        (missing,) = compare_catalogs({ITEMS: TABLE}, {}, SELECTION)
        assert (missing.aspect, missing.secondary_table, missing.severity) == (Aspect.MISSING_TABLE, THERE, BREAKS)
        (extra,) = compare_catalogs({}, {THERE: replace(TABLE, name=THERE)}, SELECTION)
        assert (extra.aspect, extra.table, extra.severity) == (Aspect.EXTRA_TABLE, ITEMS, DIFFERS)

    def test_tables_that_the_filters_leave_out_do_not_count(self) -> None:
        selection = replace(SELECTION, excluded_tables=("shop.items",))
        assert compare_catalogs({ITEMS: TABLE}, {}, selection) == ()
        assert compare_catalogs({}, {THERE: TABLE}, selection) == ()
        assert compare_catalogs({}, {TableName("elsewhere", "t"): TABLE}, SELECTION) == ()

    def test_a_history_that_only_the_secondary_keeps_does_no_harm(self) -> None:
        versioned = replace(TABLE, kind="SYSTEM VERSIONED")
        assert differences(TABLE, versioned) == [(Aspect.KIND, "", DIFFERS)]
        assert differences(versioned, TABLE) == [(Aspect.KIND, "", BREAKS)]

    def test_of_a_sequence_only_the_kind_counts(self) -> None:
        sequence = replace(TABLE, kind="SEQUENCE")
        assert differences(sequence, replace(sequence, columns=(N,), engine="MyISAM")) == []
        assert differences(TABLE, replace(sequence, columns=())) == [(Aspect.KIND, "", BREAKS)]

    @pytest.mark.parametrize(
        ("primary", "secondary", "found"),
        [
            ("InnoDB", "INNODB", []),
            ("MyISAM", "InnoDB", []),  # as the copy makes it
            ("MyISAM", "MyISAM", [(Aspect.ENGINE, "", BREAKS)]),
            ("InnoDB", "MyISAM", [(Aspect.ENGINE, "", BREAKS)]),
            ("InnoDB", "RocksDB", [(Aspect.ENGINE, "", DIFFERS)]),
        ],
    )
    def test_engines(self, primary: str, secondary: str, found: list[object]) -> None:
        assert differences(replace(TABLE, engine=primary), replace(TABLE, engine=secondary)) == found

    def test_a_trigger_of_the_secondary_breaks_and_one_of_the_primary_does_not(self) -> None:
        triggered = replace(TABLE, triggers=("t",))
        assert differences(TABLE, triggered) == [(Aspect.TRIGGER, "t", BREAKS)]
        assert differences(triggered, TABLE) == []

    def test_one_charset_under_two_names_is_no_difference(self) -> None:
        assert differences(replace(TABLE, collation="utf8_bin"), replace(TABLE, collation="utf8mb3_bin")) == []
        assert differences(TABLE, replace(TABLE, collation="utf8mb4_bin")) == [(Aspect.TABLE_COLLATION, "", DIFFERS)]


class TestColumns:
    MORE = Column("more", "int", "int(11)")

    def more(self, column: Column, *, first: bool = False) -> list[tuple[Aspect, str, Severity]]:
        columns = (column, ID, N) if first else (ID, N, column)
        return differences(TABLE, replace(TABLE, columns=columns))

    def test_a_missing_one_breaks(self) -> None:
        assert differences(TABLE, replace(TABLE, columns=(ID,))) == [(Aspect.MISSING_COLUMN, "n", BREAKS)]

    @pytest.mark.parametrize(
        ("changes", "severity"),
        [
            ({}, BREAKS),
            ({"default": "NULL"}, DIFFERS),
            ({"default": "1"}, DIFFERS),
            ({"extra": "auto_increment"}, DIFFERS),
            ({"generation_expression": "id + 1", "extra": "STORED GENERATED"}, DIFFERS),
        ],
    )
    def test_an_extra_one_at_the_end_breaks_unless_it_gets_its_value_by_itself(
        self, changes: dict[str, Any], severity: Severity
    ) -> None:
        column = replace(self.MORE, **changes)
        assert self.more(column) == [(Aspect.EXTRA_COLUMN, "more", severity)]
        assert self.more(column, first=True) == [(Aspect.EXTRA_COLUMN, "more", BREAKS)]

    def test_the_order_counts_and_the_case_of_names_does_not(self) -> None:
        assert differences(TABLE, replace(TABLE, columns=(N, ID))) == [(Aspect.COLUMN_ORDER, "", BREAKS)]
        assert differences(TABLE, with_n(name="N")) == []

    @pytest.mark.parametrize(
        ("primary", "secondary", "crossing", "found"),
        [
            ("int(11)", "int", None, []),
            ("int(11)", "int(10)", None, []),
            ("int(5) unsigned zerofill", "int(10) unsigned zerofill", None, [BREAKS]),
            ("int(11)", "bigint(20)", None, [BREAKS]),
            ("int(11)", "int(11) unsigned", None, [BREAKS]),
            ("year(4)", "year", None, []),
            ("geomcollection", "geometrycollection", None, []),
            ("datetime /* mariadb-5.3 */", "datetime", None, []),
            ("blob /*M!100301 COMPRESSED*/", "blob", TO_MYSQL, []),
            ("blob /*M!100301 COMPRESSED*/", "blob", None, [BREAKS]),
        ],
    )
    def test_types(self, primary: str, secondary: str, crossing: Crossing | None, found: list[Severity]) -> None:
        sides = (
            replace(TABLE, columns=(ID, Column("x", text.split("(")[0].split()[0], text)))
            for text in (primary, secondary)
        )
        assert differences(next(sides), next(sides), crossing) == [
            (Aspect.COLUMN_TYPE, "x", severity) for severity in found
        ]

    def test_another_charset_breaks(self) -> None:
        other = with_n(charset="latin1", collation="latin1_swedish_ci")
        assert differences(TABLE, other) == [(Aspect.CHARSET, "n", BREAKS)]

    def test_another_collation_breaks_a_unique_key(self) -> None:
        other = with_n(collation="utf8mb4_bin")
        assert differences(TABLE, other) == [(Aspect.COLLATION, "n", DIFFERS)]
        for unique, severity in ((False, DIFFERS), (True, BREAKS)):
            ours, theirs = (replace(t, indexes=(PRIMARY, index("k", unique=unique))) for t in (TABLE, other))
            assert differences(ours, theirs) == [(Aspect.COLLATION, "n", severity)]

    def test_null_breaks_only_if_the_secondary_refuses_it(self) -> None:
        strict = with_n(is_nullable=False)
        assert differences(TABLE, strict) == [(Aspect.NULLABILITY, "n", BREAKS)]
        assert differences(strict, TABLE) == [(Aspect.NULLABILITY, "n", DIFFERS)]

    def test_a_default_that_went_with_null_is_one_difference(self) -> None:
        primary, secondary = with_n(default="NULL"), with_n(default=None, is_nullable=False)
        assert differences(primary, secondary) == [(Aspect.NULLABILITY, "n", BREAKS)]

    @pytest.mark.parametrize(
        ("primary", "secondary", "is_same"),
        [("'x'", "'x'", True), ("'x'", "'y'", False), ("'x'", None, False), (None, None, True),
         ("current_timestamp()", "CURRENT_TIMESTAMP()", True), ("(1 + 2)", "1+2", True)],
    )  # fmt: skip
    def test_defaults(self, primary: str | None, secondary: str | None, *, is_same: bool) -> None:
        found = differences(with_n(default=primary), with_n(default=secondary))
        assert found == ([] if is_same else [(Aspect.DEFAULT, "n", DIFFERS)])

    def test_a_sequence_in_a_default_is_in_the_schema_of_the_secondary(self) -> None:
        own, other = (with_n(default=f"nextval(`{schema}`.`s`)") for schema in ("shop", "store"))
        assert differences(own, other) == []
        assert differences(own, own) == [(Aspect.DEFAULT, "n", DIFFERS)]

    def test_another_formula_breaks_and_hides_what_it_decides(self) -> None:
        ours = with_n(generation_expression="`id` + 1", extra="STORED GENERATED", is_nullable=True)
        formula = replace(ours.columns[1], is_nullable=False)
        for column in (replace(formula, generation_expression="`id` + 2"), replace(formula, extra="VIRTUAL GENERATED")):
            theirs = replace(ours, columns=(ID, column))
            assert differences(ours, theirs) == [(Aspect.GENERATED, "n", BREAKS)]
        assert differences(ours, with_n(default="1")) == [(Aspect.GENERATED, "n", BREAKS)]


class TestIndexes:
    @pytest.mark.parametrize(
        ("primary", "secondary", "found"),
        [
            (index("k"), index("K"), []),
            (index("k"), None, [DIFFERS]),
            (None, index("k"), [DIFFERS]),
            (index("k", unique=True), None, [BREAKS]),
            (None, index("k", unique=True), [BREAKS]),
            (index("k"), index("k", unique=True), [BREAKS]),
            (index("k"), index("k", prefix_length=5), [DIFFERS]),
            (index("k"), index("k", column="id"), [DIFFERS]),
            (index("k"), replace(index("k"), is_visible=False), [DIFFERS]),
            (index("k"), replace(index("k"), kind="HASH"), []),  # the engine's choice
            (index("k"), replace(index("k"), kind="FULLTEXT"), [DIFFERS]),
        ],
    )
    def test_indexes(self, primary: Index | None, secondary: Index | None, found: list[Severity]) -> None:
        ours, theirs = (replace(TABLE, indexes=(PRIMARY, *(i for i in (each,) if i))) for each in (primary, secondary))
        assert differences(ours, theirs) == [(Aspect.INDEX, "k", severity) for severity in found]

    def test_the_direction_counts_within_a_flavour_only(self) -> None:
        ours, theirs = (replace(TABLE, indexes=(PRIMARY, index("k", is_descending=down))) for down in (True, False))
        assert differences(ours, theirs) == [(Aspect.INDEX, "k", DIFFERS)]
        assert differences(ours, theirs, TO_MYSQL) == []


class TestChecks:
    def test_one_that_only_the_secondary_has_breaks(self) -> None:
        checked = replace(TABLE, checks=(("c", "`id` > 0"),))
        assert differences(TABLE, checked) == [(Aspect.CHECK, "c", BREAKS)]
        assert differences(checked, TABLE) == [(Aspect.CHECK, "c", DIFFERS)]

    def test_names_and_the_spelling_of_a_flavour_do_not_count(self) -> None:
        ours, theirs = (replace(TABLE, checks=(check,)) for check in (("c", "`id` > 0"), ("items_chk_1", "(`id`>0)")))
        assert differences(ours, theirs) == []
        nested = replace(TABLE, checks=(("c", "((`id` > 0) and (`n` <> 'x'))"),))
        flat = replace(TABLE, checks=(("c", "`id` > 0 and `n` != 'x'"),))
        assert [aspect for aspect, _, _ in differences(nested, flat)] == [Aspect.CHECK, Aspect.CHECK]
        assert differences(nested, flat, TO_MYSQL) == []

    def test_the_check_of_a_json_column_is_its_type(self) -> None:
        document = Column("j", "longtext", "longtext", charset="utf8mb4", collation="utf8mb4_bin")
        mariadb = replace(TABLE, columns=(ID, document), checks=(("j", "json_valid(`j`)"),))
        mysql = replace(TABLE, columns=(ID, Column("j", "json", "json")))
        assert is_json(document, mariadb)
        assert not is_json(document, replace(mariadb, checks=()))
        assert differences(mariadb, mysql, TO_MYSQL) == []
        assert differences(mariadb, replace(mariadb, checks=())) == [(Aspect.COLUMN_TYPE, "j", BREAKS)]


class TestForeignKeys:
    def keyed(self, *keys: ForeignKey) -> TableDefinition:
        return replace(TABLE, foreign_keys=keys)

    def there(self, key: ForeignKey) -> ForeignKey:
        return replace(key, parent=TableName("store", "sales"))

    def test_the_name_does_not_count_and_the_parent_is_that_of_the_secondary(self) -> None:
        assert differences(self.keyed(KEY), self.keyed(self.there(replace(KEY, name="other")))) == []
        assert len(differences(self.keyed(KEY), self.keyed(KEY))) == 2

    def test_no_action_is_restrict(self) -> None:
        assert differences(self.keyed(KEY), self.keyed(self.there(replace(KEY, on_delete="NO ACTION")))) == []

    @pytest.mark.parametrize(
        ("rule", "severity"),
        [("RESTRICT", DIFFERS), ("CASCADE", BREAKS), ("SET NULL", BREAKS), ("SET DEFAULT", BREAKS)],
    )
    def test_a_missing_one_breaks_if_it_acts(self, rule: str, severity: Severity) -> None:
        found = differences(self.keyed(replace(KEY, on_delete=rule)), TABLE)
        assert found == [(Aspect.FOREIGN_KEY, "f", severity)]

    def test_an_extra_one_breaks(self) -> None:
        assert differences(TABLE, self.keyed(self.there(KEY))) == [(Aspect.FOREIGN_KEY, "f", BREAKS)]

    def test_two_equal_ones_need_two(self) -> None:
        twice = self.keyed(KEY, replace(KEY, name="g"))
        assert differences(twice, self.keyed(self.there(KEY))) == [(Aspect.FOREIGN_KEY, "g", DIFFERS)]

    def test_a_parent_that_is_not_selected_is_not_missed(self) -> None:
        outside = replace(KEY, parent=TableName("elsewhere", "t"), on_delete="CASCADE")
        assert differences(self.keyed(outside), TABLE) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [("( 1 +  2 )", "1+2"), ("((a))", "a"), ("_utf8mb4'x'", "'x'"), ("LOWER(a)", "lower(a)"), ("a AND b", "a and b")],
)
def test_two_spellings_of_one_expression_are_equal(one: str, other: str) -> None:
    assert compact(one) == compact(other)


@pytest.mark.parametrize(
    ("one", "other"), [("'A'", "'a'"), ("(a)+(b)", "a+b"), ("ab", "a b"), ("`A`", "`a`"), ("_binary'x'", "'x'")]
)
def test_what_may_be_another_expression_is_not_equal(one: str, other: str) -> None:
    assert compact(one) != compact(other)


def test_between_flavours_functions_have_one_name() -> None:
    assert loose("ucase(`a`) <> (substring(`b`,1))") == loose("upper(`a`) != substr(`b`,1)")
    assert loose("'ucase'") == "'ucase'"


@pytest.mark.parametrize(("kind", "becomes"), [("uuid", "binary(16)"), ("inet6", "binary(16)"), ("inet4", "binary(4)")])
def test_between_flavours_addresses_are_bytes(kind: str, becomes: str) -> None:
    column = Column("a", kind, kind)
    assert column_type(column, TABLE, is_same_flavour=False) == becomes
    assert column_type(column, TABLE) == kind
