"""Requests from commands to services: frozen and complete, and checked before anything connects to a server.

Each command has a module of its own, so that it loads no others.
"""
