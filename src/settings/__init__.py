"""What a person may set, read once from arguments, environment, `.env` and YAML, in that order of precedence.

Importing this costs nothing: pydantic, yaml and dotenv are loaded by `load_settings`.
"""

from src.settings.loading import load_settings, written_settings
from src.settings.model import Settings

__all__ = ["Settings", "load_settings", "written_settings"]
