"""Every figure of docs/performance.md, measured side by side with what it is compared with."""
