"""Configuration: makes frozen settings from command-line options, the environment and `.env`."""

from replica_cli.config.loading import Configuration, load_settings, read_configuration, secondary_names
from replica_cli.config.overrides import Overrides
from replica_cli.config.sources import process_environment
from replica_cli.config.variables import VARIABLES, Variable, variables_table

__all__ = [
    "VARIABLES",
    "Configuration",
    "Overrides",
    "Variable",
    "load_settings",
    "process_environment",
    "read_configuration",
    "secondary_names",
    "variables_table",
]
