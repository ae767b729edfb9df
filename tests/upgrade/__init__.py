"""Homes that releases have left, brought forward by today's code."""
