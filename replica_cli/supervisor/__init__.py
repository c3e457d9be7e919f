"""The parent process of `replica stream`: it starts a worker process for each secondary, and hears signals for them."""
