"""Ratings, problems, complaints, appeals, feedback."""
