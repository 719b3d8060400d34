"""Options of the command line, in groups, and the messages of the contract that they make."""
