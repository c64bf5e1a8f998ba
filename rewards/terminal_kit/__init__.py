"""What a terminal takes along to judge codes by itself: one file in Python, the same in JavaScript.

The product judges with the same Python file, so online and offline have one set of rules.
"""
