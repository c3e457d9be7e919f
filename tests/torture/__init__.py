"""Real servers, real faults, and the whole check after each round."""
