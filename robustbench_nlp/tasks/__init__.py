"""Goals and metrics per task."""
