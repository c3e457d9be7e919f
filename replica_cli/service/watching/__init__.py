"""Read the state of secondaries again and again, for `replica position show --watch`."""
