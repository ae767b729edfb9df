"""Tests of include.ml_test_score."""
