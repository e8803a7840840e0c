"""The commands, one file a group; heavy imports wait inside the command that needs them."""
