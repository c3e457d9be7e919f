"""From the primary's socket to whole transactions: framing, table maps, statements, boundaries; rows stay bytes."""
