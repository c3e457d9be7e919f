"""Read the primary's binary log from a socket and make whole transactions of it; row images stay bytes."""
