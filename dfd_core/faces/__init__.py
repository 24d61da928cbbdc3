"""From pictures to tracked, upright, cropped faces, and from those to windows."""
