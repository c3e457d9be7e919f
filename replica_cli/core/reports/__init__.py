"""Results of services: frozen values from which the command line makes text and JSON.

Each command has a module of its own, so that it loads no others.
"""
