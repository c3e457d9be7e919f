"""Run the command line with `python -m replica_cli`."""

from replica_cli.cli.app import main

if __name__ == "__main__":
    main()
