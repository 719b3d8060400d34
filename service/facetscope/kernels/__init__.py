"""Inner loops, compiled for the processor at hand. Knows arrays, and no other room."""
