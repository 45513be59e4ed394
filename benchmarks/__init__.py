"""How fast it is: a file a question, each `python -m benchmarks.NAME`; see README.md."""
