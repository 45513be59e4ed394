"""What the paper's tables and figures say, and what this project claims, each by one command."""
