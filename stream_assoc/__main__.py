"""``python -m stream_assoc``: the same as ``stream-assoc``."""

from stream_assoc.apps.cli.main import run

if __name__ == "__main__":
    run()
