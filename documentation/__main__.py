"""Write the generated pages, or report which of them have drifted."""

import sys
from pathlib import Path

from documentation.pages import PAGES, drifted

if __name__ == "__main__":
    if "--check" not in sys.argv[1:]:
        for name, page in PAGES.items():
            Path(name).write_text(page(), encoding="utf-8")
    elif stale := drifted(Path()):
        sys.exit(f"{', '.join(stale)}: not as the code has it; run `make docs`")
