"""Layers: lists with gaps, and the value that an error is about."""

from __future__ import annotations

from replica_cli.config.layers import Given, Layers, Origin, Source, nested

PORT = Given("1", Origin(Source.FILE, "replica.yaml:1"))


def test_an_item_for_which_nothing_is_given_keeps_its_number() -> None:
    assert nested({("secondaries", 1, "port"): PORT}) == {"secondaries": [{}, {"port": "1"}]}


def test_an_error_where_nothing_is_given_is_about_what_is_above_it() -> None:
    layers = Layers([{("secondaries", 1, "port"): PORT}])
    assert layers.nearest(("secondaries", 1)) == ("secondaries", 1)
    assert layers.nearest(("secondaries", 0, "host")) == ("secondaries",)
    assert layers.nearest(("rules", 0)) == ()
