"""What a command asks of a service: frozen, complete, checked for sense before anything connects.

A module for each command, because each loads only its own.
"""
