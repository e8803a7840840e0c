"""The long-running consumer: what is read, in what order it is made durable, when it stops."""
