"""The commands, one module for each; imported when the command is called."""
