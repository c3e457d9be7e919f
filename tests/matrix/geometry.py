"""Every geometry type, with and without a reference system."""

from __future__ import annotations

from tests.matrix.hard import MYSQL, Family, Values

_TEXTS = {
    "POINT": "POINT(1 2)",
    "LINESTRING": "LINESTRING(0 0,1 1,2 0.5)",
    "POLYGON": "POLYGON((0 0,1 0,1 1,0 0))",
    "MULTIPOINT": "MULTIPOINT(0 0,1 1)",
    "MULTILINESTRING": "MULTILINESTRING((0 0,1 1),(2 2,3 3))",
    "MULTIPOLYGON": "MULTIPOLYGON(((0 0,1 0,1 1,0 0)))",
    "GEOMETRYCOLLECTION": "GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))",
}
_PLAIN = tuple(f"ST_GeomFromText('{text}')" for text in _TEXTS.values())
_PLACED = tuple(f"ST_GeomFromText('{text}', 4326)" for text in _TEXTS.values())
_FAR = ("ST_GeomFromText('POINT(0.1 -3e-300)')", *_PLAIN[1:])

FAMILIES = (
    Family(
        "geometries with SRID",
        (
            Values("geometries", tuple(_TEXTS), (_PLAIN, _PLACED, _FAR, ("NULL",) * 7), keys=False),
            Values("any_geometry", ("GEOMETRY",), tuple((v,) for v in (*_PLAIN, *_PLACED)), keys=False),
        ),
    ),
    Family(
        "geometries bound to one SRID (MySQL)",
        (
            Values(
                "bound", ("POINT NOT NULL SRID 4326", "POINT NOT NULL SRID 0"), ((_PLACED[0], _PLAIN[0]),), MYSQL,
                keys=False,
            ),
        ),
    ),
)  # fmt: skip
