"""Provide throw-away servers, a sample shop to fill them and an independent comparison, for the demo and the tests."""
