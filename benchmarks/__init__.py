"""How fast it is: a file a question, each `python -m benchmarks.<name>`; see README.md."""
