"""Filters between making and scoring candidates, shared by attacks."""
