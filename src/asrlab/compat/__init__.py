"""Drop-in look-alikes of other packages' interfaces, over any transcriber."""
