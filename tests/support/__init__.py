"""What tests share: plugins with fixtures (registered in `tests/conftest.py`) and helpers. It holds no tests."""
