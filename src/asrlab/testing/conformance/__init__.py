"""The conformance kit: checks of what asrlab's users may rely on, as a pytest class and as a command.

A plugin's tests inherit `asrlab.testing.TranscriberConformance`. ``python -m asrlab.testing.conformance MODEL`` prints
the same checks as a table, without pytest.
"""
