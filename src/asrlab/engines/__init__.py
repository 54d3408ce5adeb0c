"""Built-in engines, one package each. Importing a package imports nothing of the engine itself."""
