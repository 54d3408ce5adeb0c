"""The built-in engines, one room each. Importing a room imports nothing of the engine itself."""
