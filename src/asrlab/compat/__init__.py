"""Drop-in replacements for other packages, over any transcriber."""
