"""What is promised in numbers, each measured against what a user would run instead, side by side."""
