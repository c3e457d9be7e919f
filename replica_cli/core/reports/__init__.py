"""What a service hands back: frozen values that text and JSON are both made from.

A module for each command, because each loads only its own.
"""
