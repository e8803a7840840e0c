"""What a long-running process needs: the daemon, its health, its instruments and its HTTP port."""
